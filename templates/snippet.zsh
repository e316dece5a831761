# shellenv snippet {{ version }}
__shellenv_fresh() {
{% if guard.never %}
  return 1
{% else %}
  [[ "${HOME-}|${SHELLENV_VENV_DIR-}|${SHELLENV_PROMPT-}|${SHELLENV_QUIET-}" == {{ guard.overrides }}
{% if guard.stamps %}
{% for path in guard.changed %}
{% set stamp = guard.stamps ~ '/' ~ loop.index0 %}
    && -e {{ path }} && -e {{ stamp }} && ! {{ path }} -nt {{ stamp }} && ! {{ path }} -ot {{ stamp }}
{% endfor %}
{% else %}
{% for path in guard.changed %}
    && -e {{ path }}
{% endfor %}
{% endif %}
{% for path in guard.present %}
    && -e {{ path }}
{% endfor %}
{% for path in guard.absent %}
    && ! -e {{ path }}
{% endfor %}
  ]]
{% endif %}
}
__shellenv_apply() {
  __shellenv_begin {{ plan.key }} {{ plan.root }} {{ hook_ids }}
{% if short %}
  if [[ "${(t)PATH}" != *readonly* && "${options[warncreateglobal]}${options[warnnestedvar]-}" != *on*
    && -z "${__shellenv_carry[*]}
      {%- if plan.venv -%} $__shellenv_declined${VIRTUAL_ENV+x}${VIRTUAL_ENV_PROMPT+x}${PYTHONHOME+x}${functions[deactivate]+x} {%- endif -%}
      {%- for name in short.variable_names -%} ${ {{- name }}+x} {%- endfor -%}
      {%- for name in short.alias_names -%} ${aliases[{{ name }}]+x}${galiases[{{ name }}]+x} {%- endfor -%} "
  ]]; then
    __shellenv_shortcut() {
      [[ "$PATH" == "$__shellenv_new_path" && "${(t)PATH}" != *readonly*
{% if plan.venv %}
        && "${VIRTUAL_ENV-}" == "$__shellenv_ours" && -n "${_OLD_VIRTUAL_PATH-}" && -n "${functions[deactivate]+x}"
        && "${options[warncreateglobal]}${options[warnnestedvar]-}" != *on*
{% endif %}
        && "
          {%- for name in short.variable_names -%} ${(t) {{- name }}}=${ {{- name }}-}{{ us }} {%- endfor -%}
          {%- for name in short.alias_names -%} ${aliases[{{ name }}]+scalar-export=}${aliases[{{ name }}]-}{{ us }} {%- endfor -%}
        " == {{ short.types }} ]] || return
      typeset -g __shellenv_partly=yes
{% if short.variables %}
      builtin unset{% for name in short.variable_names %} {{ name }}{% endfor %}

{% endif %}
{% if short.aliases %}
      builtin unalias --{% for alias in short.aliases %} {{ alias.name }}{% endfor %}

{% endif %}
{% if plan.venv %}
      deactivate || :
      shift 2 __shellenv_log
{% endif %}
      typeset -g __shellenv_short='' __shellenv_partly='' __shellenv_ours=''
{% if plan.venv %}
      if [[ -n "${VIRTUAL_ENV-}" ]]; then # that was a function of the user's
        builtin unset VIRTUAL_ENV
        PATH="$__shellenv_new_path"
        return 0
      fi
{% endif %}
      PATH="$__shellenv_old_path"
      typeset -g __shellenv_new_path="$PATH"
    }
    typeset -g __shellenv_partly=yes __shellenv_short={{ short.records }}
    typeset -g __shellenv_new_path={% for directory in short.path %}{{ directory }}:{% endfor %}"$PATH"
{% if plan.venv %}
    typeset -g __shellenv_ours={{ plan.venv.path }}
    __shellenv_source_activate {{ plan.venv.path }}
{% endif %}
{% if plan.path %}
    PATH={% for directory in plan.path %}{{ directory.path }}:{% endfor %}"$PATH"
    [[ -z "${_OLD_VIRTUAL_PATH-}" ]] || _OLD_VIRTUAL_PATH={% for directory in plan.path %}{{ directory.path }}:{% endfor %}"$_OLD_VIRTUAL_PATH"
{% endif %}
{% if short.variables %}
    typeset -gx{% for variable in short.variables %} {{ variable.name | code }}={{ variable.value }}{% endfor %}

{% endif %}
{% if short.aliases %}
    builtin alias --{% for alias in short.aliases %} {{ alias.name }}={{ alias.value }}{% endfor %}

{% endif %}
    typeset -g __shellenv_partly=''
  else
{% endif %}
{% if plan.venv %}
{% if short %}  {% endif %}  __shellenv_activate {{ plan.venv.path }}{% for word in plan.venv.words %} {{ word }}{% endfor %}

{% endif %}
{% if plan.path %}
{% if short %}  {% endif %}  __shellenv_prepend{% for directory in plan.path %} {{ directory.path }}{% endfor %}

{% endif %}
{% for run in plain_runs %}
{% if short %}  {% endif %}  __shellenv_set
    {%- for variable in run %} \
    {{ variable.name | code }}={{ variable.value }}
    {%- endfor %}

{% endfor %}
{% set aliases = short.aliases if short else plan.aliases %}
{% if aliases %}
{% if short %}  {% endif %}  __shellenv_alias{% for alias in aliases %} {{ alias.name }}={{ alias.value }}{% endfor %}

{% endif %}
{% if short %}
  fi
{% endif %}
{% for run in runs %}
  __shellenv_set
    {%- for variable in run %} \
    {{ variable.name | code }}={{ variable.value }}
    {%- endfor %}

{% endfor %}
{% for alias in plan.aliases if short and alias not in short.aliases %}
  __shellenv_alias {{ alias.name }}={{ alias.value }}
{% endfor %}
{% if plan.marker %}
  __shellenv_mark {{ plan.marker }}
{% endif %}
{% for hook in plan.hooks %}
  __shellenv_hook {{ hook.id }} {{ hook.enter }} {{ hook.leave }}
{% endfor %}
{% for notice in plan.notices %}
  __shellenv_notice {{ notice }}
{% endfor %}
  __shellenv_end
{% if plan.hooks %}
  __shellenv_enter
{% endif %}
}
__shellenv_loaded={{ plan.key }}

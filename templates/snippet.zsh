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
  [[ "${funcstack[-1]}" == *shellenv* ]] ||
    ! __shellenv_waits "$__shellenv_touched "'{% for name in names %} {{ name }}{% endfor %}' || return 0
  [[ -z "$__shellenv_root" ]] || __shellenv_undo {{ plan.root }} {{ hook_ids }}
  typeset -g __shellenv_busy=yes __shellenv_entering={{ plan.key }} __shellenv_root={{ plan.root }} __shellenv_code='' \
    __shellenv_touched='{% for name in names %} {{ name }}{% endfor %}' \
    __shellenv_old_path="$PATH" __shellenv_new_path="$PATH"
{% if short %}
  if [[ "${(t)PATH}" != *readonly* && "${options[warncreateglobal]}${options[warnnestedvar]-}" != *on*
    && -z "${__shellenv_carry[*]}
      {%- if plan.venv -%} $__shellenv_declined
        {%- for name in short.untouched -%} ${ {{- name }}+x} {%- endfor -%}
        {%- for name in short.functions -%} ${functions[{{ name }}]+x} {%- endfor -%}
      {%- endif -%}
      {%- for name in short.variable_names -%} ${ {{- name }}+x} {%- endfor -%}
      {%- for name in short.free -%} ${aliases[{{ name }}]+x}${galiases[{{ name }}]+x} {%- endfor -%} "
  ]]; then
    __shellenv_shortcut() {
      [[ "$PATH" == "$__shellenv_new_path" && "${(t)PATH}" != *readonly*
{% if plan.venv %}
        && "${VIRTUAL_ENV-}" == {{ plan.venv.path }} && -n "${_OLD_VIRTUAL_PATH-}" && -n "${functions[deactivate]+x}"
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
{% endif %}
{% if plan.marker %}
      local __shellenv_marker={{ plan.marker }}
      if [[ "${(t)PS1}" != *readonly* &&
        "${__shellenv_log[*]}" == "m${__shellenv_nul}PS1$__shellenv_nul-$__shellenv_nul=$__shellenv_marker" ]]; then
        PS1="${PS1/"$__shellenv_marker"}"
        typeset -ga __shellenv_log=()
      fi
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
{{ short.code }}
    _OLD_VIRTUAL_PATH={% for directory in plan.path %}{{ directory.path }}:{% endfor %}"$PATH"
{% endif %}
{% if short.path %}
    PATH="$__shellenv_new_path"
{% endif %}
{% if short.exports %}
    typeset -gx{% for name, value in short.exports %} {{ name }}={{ value }}{% endfor %}

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
{% if caution %}
  __shellenv_notice {{ caution }} cache
{% endif %}
  __shellenv_end
{% if plan.hooks %}
  __shellenv_enter
{% endif %}
}
__shellenv_loaded={{ plan.key }}

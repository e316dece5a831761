# shellenv snippet {{ version }}
__shellenv_fresh() {
{% if guard.never %}
  return 1
{% else %}
  [[ "${HOME-}|${SHELLENV_VENV_DIR-}|${SHELLENV_PROMPT-}|${SHELLENV_QUIET-}" == {{ guard.overrides }}
{%- if guard.stamps %} &&
    -d {{ guard.stamps }}
{%- endif %}
{%- for path in guard.changed if guard.stamps %}
{%- set stamp = guard.stamps ~ '/' ~ loop.index0 %} &&
    ! {{ path }} -nt {{ stamp }} && ! {{ path }} -ot {{ stamp }}
{%- endfor %}
{%- for path in (() if guard.stamps else guard.changed) + guard.present %} &&
    -e {{ path }}
{%- endfor %}
{%- for path in guard.absent %} &&
    ! -e {{ path }}
{%- endfor %} ]]
{% endif %}
}
{% if short %}
__shellenv_back_{{ short.id }}() {
  [[ $- != *u* && $PATH == "$__shellenv_path_new"
    {%- if plan.venv %} && ${VIRTUAL_ENV-} == {{ plan.venv.path }} && -n ${_OLD_VIRTUAL_PATH-}{% endif %}{% if short.values %} && "
    {%- for name in short.variable_names -%} ${ {{- name }}@a}${ {{- name }}-}{{ us }} {%- endfor -%}
    {%- for name in short.alias_names -%} ${BASH_ALIASES[{{ name }}]+x}${BASH_ALIASES[{{ name }}]-}{{ us }} {%- endfor -%}
  " == {{ short.exported }}{% endif %} ]]{% if plan.venv %} && \builtin declare -F deactivate >/dev/null{% endif %} || \return
  __shellenv_short=partly
{% if short.variables %}
  \builtin unset -v{% for name in short.variable_names %} {{ name }}{% endfor %}

{% endif %}
{% if short.aliases %}
  \builtin unalias{% for name in short.alias_names %} {{ name }}{% endfor %}

{% endif %}
}
{% endif %}
__shellenv_apply_piecemeal() {
{% if plan.venv %}
  __shellenv_activate {{ plan.venv.path }}{% for word in plan.venv.words %} {{ word }}{% endfor %}

{% endif %}
{% if plan.path %}
  __shellenv_prepend{% for directory in plan.path %} {{ directory.path }}{% endfor %}

{% endif %}
{% for run in plain_runs %}
  __shellenv_set{% for variable in run %} {{ variable.name }} {{ variable.value }}{% endfor %}

{% endfor %}
{% set aliases = short.aliases if short else plan.aliases %}
{% if aliases %}
  __shellenv_alias{% for alias in aliases %} {{ alias.name }} {{ alias.value }}{% endfor %}

{% endif %}
  return 0
}
__shellenv_apply() {
  __shellenv_begin {{ plan.key }} {{ plan.root }} {{ hook_ids }} '{% for name in names %} {{ name }}{% endfor %}' || return 0
{% if short %}
  if [[ -n $__shellenv_attributes && $- != *u* && ${PATH@a} == x && -z ${__shellenv_carry+x}
    {%- if plan.venv -%} $__shellenv_declined
      {%- for name in short.untouched -%} ${ {{- name }}+x} {%- endfor -%}
    {%- endif -%}
    {%- for name in short.variable_names -%} ${ {{- name }}+x}${ {{- name }}@a} {%- endfor -%}
    {%- for name in short.free -%} ${BASH_ALIASES[{{ name }}]+x} {%- endfor %} ]]
    {%- for name in short.functions %} && ! \builtin declare -F {{ name }} >/dev/null{% endfor %}; then
    __shellenv_shortcut=__shellenv_back_{{ short.id }} __shellenv_records={{ short.records }}
    __shellenv_path_old=$PATH __shellenv_path_new={% for directory in short.path %}{{ directory }}:{% endfor %}$PATH
    __shellenv_short=partly
{% if plan.venv %}
    __shellenv_ours={{ plan.venv.path }} __shellenv_standard=yes
{{ short.code }}
    _OLD_VIRTUAL_PATH={% for directory in plan.path %}{{ directory.path }}:{% endfor %}$PATH
{% endif %}
    PATH=$__shellenv_path_new
{% if short.exports %}
    \builtin export{% for name, value in short.exports %} {{ name }}={{ value }}{% endfor %}

{% endif %}
{% if short.aliases %}
    \builtin alias{% for alias in short.aliases %} {{ alias.name }}={{ alias.value }}{% endfor %}

{% endif %}
    __shellenv_short=wholly
  else
    __shellenv_apply_piecemeal
  fi
{% else %}
  __shellenv_apply_piecemeal
{% endif %}
{% for run in runs %}
  __shellenv_set{% for variable in run %} {{ variable.name }} {{ variable.value }}{% endfor %}

{% endfor %}
{% for alias in plan.aliases if short and alias not in short.aliases %}
  __shellenv_alias {{ alias.name }} {{ alias.value }}
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
}
__shellenv_loaded={{ plan.key }}

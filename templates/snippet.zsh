# shellenv snippet {{ version }}
__shellenv_fresh() {
{% if guard.never %}
  return 1
{% else %}
  [[ "${SHELLENV_VENV_DIR-}|${SHELLENV_PROMPT-}|${SHELLENV_QUIET-}" == {{ guard.overrides }}
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
{% if plan.venv %}
  __shellenv_activate {{ plan.venv.path }}{% for word in plan.venv.words %} {{ word }}{% endfor %}

{% endif %}
{% if plan.path %}
  __shellenv_prepend{% for directory in plan.path %} {{ directory.path }}{% endfor %}

{% endif %}
{% for run in plain_runs + runs %}
  __shellenv_set
    {%- for variable in run %} \
    {{ variable.name | code }}={{ variable.value }}
    {%- endfor %}

{% endfor %}
{% if plan.aliases %}
  __shellenv_alias{% for alias in plan.aliases %} {{ alias.name }}={{ alias.value }}{% endfor %}

{% endif %}
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

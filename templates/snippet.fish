# shellenv snippet {{ version }}
function __shellenv_fresh
{% if guard.never %}
    return 1
{% else %}
    test "$SHELLENV_VENV_DIR|$SHELLENV_PROMPT|$SHELLENV_QUIET" = {{ guard.overrides }}
{%- if guard.stamps %} \
        -a -d {{ guard.stamps }}
{%- endif %}
{%- for path in guard.changed if guard.stamps %}
{%- set stamp = guard.stamps ~ '/' ~ loop.index0 %} \
        -a ! {{ path }} -nt {{ stamp }} -a ! {{ path }} -ot {{ stamp }}
{%- endfor %}
{%- for path in (() if guard.stamps else guard.changed) + guard.present %} \
        -a -e {{ path }}
{%- endfor %}
{%- for path in guard.absent %} \
        -a ! -e {{ path }}
{%- endfor %}

{% endif %}
end
function __shellenv_apply
    __shellenv_begin {{ plan.key }} {{ plan.root }}{% for hook in plan.hooks %} {{ hook.id }}{% endfor %}

{% if plan.venv %}
    __shellenv_activate {{ plan.venv.path }}{% for word in plan.venv.words %} {{ word }}{% endfor %}

{% endif %}
{% if plan.path %}
    __shellenv_prepend{% for directory in plan.path %} {{ directory.path }}{% endfor %}

{% endif %}
{% if block.variables %}
    set -l __shellenv_values
    {%- for variable in block.variables %} \
        {{ variable.value }}
    {%- endfor %}

    if __shellenv_free{% for name in block.names %} {{ name }}{% endfor %}

{% for name in block.names %}
        set -gx {{ name }} $__shellenv_values[{{ loop.index }}]
{% endfor %}
        __shellenv_block {{ block.records }}{% for name in block.names %} {{ name }}{% endfor %}

    else
        __shellenv_set{% for name in block.names %} {{ name }} $__shellenv_values[{{ loop.index }}]{% endfor %}

    end
{% endif %}
{% for run in runs %}
    __shellenv_set{% for variable in run %} {{ variable.name }} {{ variable.value }}{% endfor %}

{% endfor %}
{% if plan.aliases %}
    __shellenv_alias{% for alias in plan.aliases %} {{ alias.name }} {{ alias.value }}{% endfor %}

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
end
set -g __shellenv_loaded {{ plan.key }}

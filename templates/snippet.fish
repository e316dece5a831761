# shellenv snippet {{ version }}
set -g __shellenv_defined ''
set -g __shellenv_overrides {{ guard.overrides }}
set -g __shellenv_watch
{%- if guard.never %} -n yes
{%- else %} -n ''
{%- if guard.stamps %} \
    -o ! -d {{ guard.stamps }}
{%- endif %}
{%- for path in guard.changed if guard.stamps %}
{%- set stamp = guard.stamps ~ '/' ~ loop.index0 %} \
    -o {{ path }} -nt {{ stamp }} -o {{ path }} -ot {{ stamp }}
{%- endfor %}
{%- for path in (() if guard.stamps else guard.changed) + guard.present %} \
    -o ! -e {{ path }}
{%- endfor %}
{%- for path in guard.absent %} \
    -o -e {{ path }}
{%- endfor %}
{%- endif %}

{% if short %}
function __shellenv_clear
    test -z "$__shellenv_timeless$__shellenv_carry
    {%- if plan.venv -%} $__shellenv_declined {%- endif -%} "
    or return
{% for count, names in short.lots %}
    set -q{% for name in names %} {{ name }}{% endfor %}

    test $status -eq {{ count }}
    or return
{% endfor %}
{% if short.functions or short.aliases %}
    builtin functions -q{% for name in short.functions %} {{ name }}{% endfor %}{% for alias in short.aliases %} {{ alias.name }}{% endfor %}

    test $status -eq {{ short.defined }}
{% endif %}
end
{% endif %}
function __shellenv_apply
    test -n "$__shellenv_timeless"
    or set -el $__shellenv_touched
    __shellenv_begin {{ plan.key }} {{ plan.root }}{% for hook in plan.hooks %} {{ hook.id }}{% endfor %}

    set -g __shellenv_touched{% for name in names %} {{ name }}{% endfor %}

    test -n "$__shellenv_timeless"
    or set -el $__shellenv_touched
{% if short %}
    if __shellenv_clear
        function __shellenv_shortcut
{% if short.variables %}
{% for count, names in short.own_lots %}
            set -qg{% for name in names %} {{ name }}{% endfor %}

            or return
{% endfor %}
            test "x{% for name in short.variable_names %}${{ name }}{{ us }}{% endfor %}" = {{ 'x' ~ short.text }}
            or return
            set -g __shellenv_partly yes
            set -eg{% for name in short.variable_names %} {{ name }}{% endfor %}

{% endif %}
            return 0
        end
        set -g __shellenv_path "$PATH" {% for directory in short.path %}{{ directory }}:{% endfor %}"$PATH"
        set -g __shellenv_partly yes
        set -g __shellenv_short {{ short.records }}
{% if plan.venv %}
        set -g __shellenv_standard yes
        set -g __shellenv_ours {{ plan.venv.path }}
{{ short.code }}
        set -gu _OLD_VIRTUAL_PATH{% for directory in plan.path %} {{ directory.path }}{% endfor %} $PATH
{% endif %}
{% if short.path %}
        set -gx PATH{% for directory in short.path %} {{ directory }}{% endfor %} $PATH
{% endif %}
{% for name, value in short.exports %}
        set -gx {{ name }} {{ value }}
{% endfor %}
{% if short.aliases %}
        set -g __shellenv_functions{% for alias in short.aliases %} {{ alias.name }}{% endfor %}

        set -g __shellenv_wraps{% for alias in short.aliases %} {{ alias.name }} {{ alias.value }}{% endfor %}

{% for alias, command in short.commands %}
        function {{ alias.name }} --wraps {{ alias.value }} --description {{ 'alias ' ~ alias.name ~ '=' ~ alias.value }}
            {{ command }} $argv
        end
{% endfor %}
{% endif %}
        set -g __shellenv_partly ''
    else
{% endif %}
{% if plan.venv %}
{% if short %}    {% endif %}    __shellenv_activate {{ plan.venv.path }}{% for word in plan.venv.words %} {{ word }}{% endfor %}

{% endif %}
{% if plan.path %}
{% if short %}    {% endif %}    __shellenv_prepend{% for directory in plan.path %} {{ directory.path }}{% endfor %}

{% endif %}
{% for run in plain_runs %}
{% if short %}    {% endif %}    __shellenv_set{% for variable in run %} {{ variable.name }} {{ variable.value }}{% endfor %}

{% endfor %}
{% set aliases = short.aliases if short else plan.aliases %}
{% if aliases %}
{% if short %}    {% endif %}    __shellenv_alias{% for alias in aliases %} {{ alias.name }} {{ alias.value }}{% endfor %}

{% endif %}
{% if short %}
    end
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
end
set -g __shellenv_loaded {{ plan.key }}

# shellenv snippet {{ version }}
set -g __shellenv_unsettled
{%- if guard.never or not guard.stamps %} -n yes
{%- else %} ! -d {{ guard.stamps }}
{%- for path in guard.changed %}
{%- set stamp = guard.stamps ~ '/' ~ loop.index0 %} \
    -o {{ path }} -nt {{ stamp }} -o {{ path }} -ot {{ stamp }}
{%- endfor %}
{%- for path in guard.absent %} \
    -o -e {{ path }}
{%- endfor %}
{%- endif %}

function __shellenv_settled
{% if guard.changed %}
    test -n "$__shellenv_timeless"
    and return 1
{% endif %}
    not test "x$SHELLENV_VENV_DIR" != {{ 'x' ~ guard.overrides }} -o $__shellenv_unsettled
    and set -g __shellenv_venvs {{ venv_dir }}
end
set -g __shellenv_venvs {{ venv_dir }}

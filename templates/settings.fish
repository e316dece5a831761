# shellenv snippet {{ version }}
function __shellenv_settled
{% if guard.never or not guard.stamps %}
    return 1
{% else %}
{% if guard.changed %}
    test -n "$__shellenv_timeless"
    and return 1
{% endif %}
    test "x$SHELLENV_VENV_DIR" = {{ 'x' ~ guard.overrides }} \
        -a -d {{ guard.stamps }}
{%- for path in guard.changed %}
{%- set stamp = guard.stamps ~ '/' ~ loop.index0 %} \
        -a ! {{ path }} -nt {{ stamp }} -a ! {{ path }} -ot {{ stamp }}
{%- endfor %}
{%- for path in guard.absent %} \
        -a ! -e {{ path }}
{%- endfor %}

    and set -g __shellenv_venvs {{ venv_dir }}
{% endif %}
end
set -g __shellenv_venvs {{ venv_dir }}

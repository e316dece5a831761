# shellenv snippet {{ version }}
__shellenv_settled() {
{% if guard.never or not guard.stamps %}
  return 1
{% else %}
  [[ "${SHELLENV_VENV_DIR-}" == {{ guard.overrides }} && -d {{ guard.stamps }}
{% for path in guard.changed %}
{% set stamp = guard.stamps ~ '/' ~ loop.index0 %}
    && -e {{ path }} && -e {{ stamp }} && ! {{ path }} -nt {{ stamp }} && ! {{ path }} -ot {{ stamp }}
{% endfor %}
{% for path in guard.absent %}
    && ! -e {{ path }}
{% endfor %}
  ]] && __shellenv_venvs={{ venv_dir }}
{% endif %}
}
__shellenv_venvs={{ venv_dir }}

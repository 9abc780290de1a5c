"""A tiny template renderer.

``{{name}}`` stands for a value, escaped for HTML; what is between ``{{#name}}`` and ``{{/name}}`` is
repeated for each dictionary of a list, whose values it then names.
"""


def escape(value):
    """Return a value as text with HTML characters escaped."""
    text = str(value)
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(char, entity)
    return text


def render(template, values):
    """Return the text of a template; raises KeyError for an unknown name, ValueError for an unclosed one."""
    done = []
    at = 0
    while True:
        start = template.find("{{", at)
        if start < 0:
            done.append(template[at:])
            return "".join(done)
        done.append(template[at:start])
        end = template.index("}}", start)
        name = template[start + 2 : end]
        at = end + 2
        if name.startswith("#"):
            close = "{{/" + name[1:] + "}}"
            end = template.index(close, at)
            for item in values[name[1:]]:
                done.append(render(template[at:end], item))
            at = end + len(close)
        else:
            done.append(escape(values[name]))

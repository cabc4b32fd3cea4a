"""The services that the provider is demonstrated and tested against, started natively (without a container engine).

``python -m stack up`` starts them, ``python -m stack env`` prints how to reach them, ``stack.settings.Stack``
and ``stack.connections`` say the same to Python.
Only the standard library is used here, since the launcher runs before anything is installed.
"""

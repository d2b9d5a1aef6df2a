"""``despina bench``: puts loads on a model, and says how it bears them.

The requests are sent and timed by the compiled engine (``despina.engine.load``); what is here makes
them, and makes tables, files and plots of what was counted.
"""

"""Detectors: alarms whose rate of false alarms is known before they are switched on. Pure.

One scope's detector is a fold over its panes in order of pane start (``fold.PaneFold``). A pane is integers; a *model*
(``bets.ShareBets``, ``pace.PaceBets``) turns it into a summary (``summary.Summary``), which is all the fold looks at.

Sources: Shin, Ramdas, Rinaldo, E-detectors: a nonparametric framework for sequential change detection, 2022
(arXiv 2203.03532); Waudby-Smith, Ramdas, Estimating means of bounded random variables by betting, 2020
(arXiv 2010.09686).
"""

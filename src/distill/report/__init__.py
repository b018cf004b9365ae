"""A run as one self-contained HTML page: new audio, reconstructions, curves, codebooks, recordings, settings.

contents.py  the plain data a page is made from      sound.py     spectrograms, waveforms, FLAC
page.py      puts the sections together, writes      curves.py    learning curves as SVG
refinement.py  the page of the codec's second stage     evaluation.py  the page of an evaluation
gather.py    fills them from models and recordings    sweep.py     the page that compares the models of a sweep
listening.py, learning.py, tables.py  the sections   markup.py    what all sections are made of
style.css, player.js                  how it looks, and the playhead
"""

from distill.report.contents import NewAudio, Reconstruction, RunReport
from distill.report.evaluation import EvaluationReport, write_evaluation_report
from distill.report.page import write_report
from distill.report.refinement import RefinementReport, write_refinement_report

__all__ = [
    "EvaluationReport",
    "NewAudio",
    "Reconstruction",
    "RefinementReport",
    "RunReport",
    "write_evaluation_report",
    "write_refinement_report",
    "write_report",
]

"""A run as one self-contained HTML page: new audio, reconstructions, curves, codebooks, recordings, settings.

contents.py         the plain data that the page of a run is made from
gather.py           fills it, and that of the other pages, from models and recordings
page.py             puts the sections of a run together, and writes a page
refinement.py       the page of the codec's second stage
evaluation.py       the page of an evaluation
sweep.py            the page that compares the models of a sweep
listening.py        the sections to listen to
learning.py         the sections on learning
tables.py           the sections of recordings, settings and facts
markup.py           what all sections are made of
curves.py           learning curves as SVG
sound.py            spectrograms, waveforms, FLAC
style.css           how it looks
player.js           the playhead
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

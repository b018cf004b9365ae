// A grid of codes on a canvas: columns are time, rows are levels. It draws only what is visible: every cell is one pixel of a
// small picture that is made when the codes change, and the part of it that is in view is drawn large, one row at a time.
import { mark } from "./parts.js";

const RULER = 26, GAP = 3, TILE = 4096;
const STEPS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300];
const LEAST_PER = 0.05, MOST_PER = 48;
export const heightOf = (levels, row) => RULER + levels * (row + GAP);

export class Grid {
  /** `on`: `select(selection, how)`, `view()`; both may be left out. */
  constructor(canvas, row, on = {}) {
    Object.assign(this, { canvas, row, on, sheet: null, first: 0, per: 8, selection: null, mark: null, head: null, preview: null, frame: 0, beat: 0 });
    this.context = canvas.getContext("2d");
    this.tiles = [];
    this.anchor = this.cursor = null;
    /** How long the last frames took, in ms. */
    canvas.drawTimes = [];
    this.listen();
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(canvas.parentElement);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.dress = () => { this.colours = null; this.wake(); };
    this.scheme.addEventListener("change", this.dress);
    this.resize();
  }

  end() {
    this.sizes.disconnect();
    this.scheme.removeEventListener("change", this.dress);
    cancelAnimationFrame(this.frame);
  }

  // What is shown

  show(sheet, palette) {
    const isNew = sheet !== this.sheet;
    Object.assign(this, { sheet, palette });
    this.paint();
    if (isNew) this.fit();
    this.moved();
  }

  /** The codes of these columns are shown in place of the sheet's: `{ first, codes }`, or null. */
  showInstead(preview) {
    this.preview = preview;
    this.paint();
    this.wake();
  }

  /** Shows bars and beats of this tempo, four to a bar, and lets what is dragged snap to them; 0 shows seconds. */
  keepTime(bpm) {
    this.beat = bpm > 0 && this.sheet ? (60 / bpm) * this.sheet.rate : 0;
    this.wake();
  }

  /** The columns of whole beats around these. */
  inBeats(first, stop) {
    const begin = Math.round(Math.floor(first / this.beat + 1e-6) * this.beat);
    const end = Math.min(this.sheet.columns, Math.round(Math.ceil(stop / this.beat - 1e-6) * this.beat));
    return [begin, Math.max(end, begin + 1)];
  }

  code(column, level) {
    const { preview, sheet } = this;
    if (preview && column >= preview.first && column < preview.first + preview.codes.length / sheet.levels) return preview.codes[(column - preview.first) * sheet.levels + level];
    return sheet.code(column, level);
  }

  paint() {
    const { sheet, palette } = this;
    this.tiles = [];
    for (let start = 0; start < sheet.columns; start += TILE) {
      const width = Math.min(TILE, sheet.columns - start);
      const picture = Object.assign(document.createElement("canvas"), { width, height: sheet.levels });
      const context = picture.getContext("2d"), image = context.createImageData(width, sheet.levels), pixels = new Uint32Array(image.data.buffer);
      for (let level = 0; level < sheet.levels; level += 1) {
        for (let at = 0; at < width; at += 1) {
          const [red, green, blue] = palette[level][this.code(start + at, level)];
          pixels[level * width + at] = (255 << 24) | (blue << 16) | (green << 8) | red;
        }
      }
      context.putImageData(image, 0, 0);
      this.tiles.push(picture);
    }
  }

  // The view: `first` is the column at the left edge (with a fraction), `per` the pixels a column takes

  get columnsShown() { return this.width / this.per; }
  fit() { this.per = Math.min(MOST_PER, Math.max(LEAST_PER, (this.width || 800) / this.sheet.columns, 3)); this.first = 0; this.clamp(); }
  fitAll() { this.per = Math.min(MOST_PER, Math.max(LEAST_PER, this.width / this.sheet.columns)); this.first = 0; this.moved(); }
  clamp() {
    this.per = Math.min(MOST_PER, Math.max(LEAST_PER, this.per));
    this.first = Math.max(0, Math.min(this.first, (this.sheet?.columns ?? 0) - this.columnsShown));
  }
  moved() { this.clamp(); this.on.view?.(); this.wake(); }
  scrollTo(column) { this.first = column; this.moved(); }
  zoom(factor, x = this.width / 2) {
    const column = this.first + x / this.per;
    this.per = Math.min(MOST_PER, Math.max(LEAST_PER, this.per * factor));
    this.first = column - x / this.per;
    this.moved();
  }
  reveal(column) {
    if (column < this.first) this.scrollTo(column - 0.1 * this.columnsShown);
    else if (column + 1 > this.first + this.columnsShown) this.scrollTo(column + 1 - 0.9 * this.columnsShown);
  }
  follow(column) {
    this.head = column;
    if (column !== null && !this.dragging && (column > this.first + 0.97 * this.columnsShown || column < this.first)) this.scrollTo(column - 0.05 * this.columnsShown);
    this.wake();
  }

  resize() {
    const box = this.canvas.parentElement.getBoundingClientRect(), scale = devicePixelRatio || 1;
    this.width = Math.max(50, box.width);
    this.height = heightOf(this.sheet?.levels ?? 4, this.row);
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    if (this.sheet) { this.clamp(); this.on.view?.(); }
    this.draw();
  }

  // Drawing

  wake() { if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); }); }

  draw() {
    if (!this.sheet || !this.width) return;
    const began = performance.now();
    const { context, sheet, width, height, first, per, row } = this, scale = devicePixelRatio || 1;
    this.colours ??= Object.fromEntries(["ink", "soft", "line", "card", "held"].map((name) => [name, getComputedStyle(this.canvas).getPropertyValue(`--${name}`)]));
    const { ink, soft, line, card, held } = this.colours;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = per < 1;
    const last = Math.min(sheet.columns, first + width / per);
    for (let tile = Math.floor(first / TILE); tile * TILE < last; tile += 1) {
      const from = Math.max(first, tile * TILE), to = Math.min(last, (tile + 1) * TILE);
      for (let level = 0; level < sheet.levels; level += 1) context.drawImage(this.tiles[tile], from - tile * TILE, level, to - from, 1, (from - first) * per, this.top(level), (to - from) * per, row);
    }
    if (per >= 7) this.drawCells(Math.floor(first), Math.ceil(last), card);
    this.drawLocks(Math.floor(first), Math.ceil(last), card);
    if (this.beat) this.drawBeats(first, last, card, soft, line);
    else this.drawRuler(first, last, ink, soft, line);
    if (this.selection) this.drawSelection(this.selection, [[card, 5], [ink, 2.5]], held);
    else if (this.mark) {
      context.setLineDash([5, 4]);
      this.drawSelection(this.mark, [[card, 4], [soft, 2]], "transparent");
      context.setLineDash([]);
    }
    if (this.head !== null) {
      const x = (this.head - first) * per;
      context.fillStyle = ink;
      context.fillRect(x - 1, 0, 2, height);
      context.beginPath(); context.moveTo(x - 6, 0); context.lineTo(x + 6, 0); context.lineTo(x, 8); context.fill();
    }
    this.canvas.drawTimes.push(performance.now() - began);
    if (this.canvas.drawTimes.length > 1000) this.canvas.drawTimes.shift();
  }

  top(level) { return RULER + level * (this.row + GAP); }

  drawCells(from, to, card) {
    const { context, sheet, first, per, row } = this;
    context.fillStyle = card;
    const gap = per >= 14 ? 1.5 : 0.75;
    for (let column = from; column <= to; column += 1) context.fillRect((column - first) * per - gap / 2, RULER, gap, this.height - RULER);
    if (per < 25) return;
    context.font = `600 ${per >= 34 ? 12 : 10.5}px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = "#000";
    for (let column = from; column < to; column += 1) for (let level = 0; level < sheet.levels; level += 1) context.fillText(this.code(column, level), (column - first + 0.5) * per, this.top(level) + row / 2 + 0.5);
  }

  drawLocks(from, to, card) {
    const { context, sheet, first, per, row } = this;
    context.fillStyle = card;
    for (let level = 0; level < sheet.levels; level += 1) {
      for (let column = from; column < to; column += 1) {
        if (!sheet.isLocked(column, level)) continue;
        const start = column;
        while (column < to && sheet.isLocked(column, level)) column += 1;
        // A bar in the paper's colour through the middle of the row, and bolts at both ends of it.
        const x = (start - first) * per, wide = (column - start) * per, y = this.top(level);
        context.globalAlpha = 0.85;
        context.fillRect(x, y + row - 7, wide, 3);
        context.fillRect(x, y + 4, wide, 3);
        context.globalAlpha = 1;
      }
    }
  }

  drawRuler(first, last, ink, soft, line) {
    const { context, sheet, per, width } = this, pixelsPerSecond = per * sheet.rate;
    const step = STEPS.find((one) => one * pixelsPerSecond >= 64) ?? STEPS.at(-1);
    context.font = `12px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (let number = Math.floor(first / sheet.rate / step); number * step * sheet.rate <= last; number += 1) {
      const x = (number * step * sheet.rate - first) * per;
      context.fillStyle = line;
      context.fillRect(x, 4, 1, RULER - 8);
      context.fillStyle = soft;
      if (x > -40 && x < width - 36) context.fillText(mark(number * step, step), x + 5, RULER / 2);
    }
  }

  drawBeats(first, last, card, soft, line) {
    const { context, per, width, height, beat } = this;
    const step = [1, 2, 4, 8, 16, 32, 64, 128].find((one) => one * beat * per >= 44) ?? 256;
    context.font = `12px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (let number = Math.floor(first / beat); number * beat <= last; number += 1) {
      const x = Math.round((Math.round(number * beat) - first) * per), isBar = number % 4 === 0;
      if (isBar || beat * per >= 12) {
        context.fillStyle = card;
        context.fillRect(x - (isBar ? 1 : 0), RULER, isBar ? 2.5 : 1.25, height - RULER);
        context.fillStyle = line;
        context.fillRect(x, isBar ? 4 : 12, 1, RULER - (isBar ? 8 : 16));
      }
      if (number % step) continue;
      context.fillStyle = soft;
      if (x > -40 && x < width - 30) context.fillText(step >= 4 ? `${number / 4 + 1}` : `${Math.floor(number / 4) + 1}.${(number % 4) + 1}`, x + 5, RULER / 2);
    }
  }

  drawSelection(selection, strokes, head) {
    const { context, first, per, row } = this;
    const x = (selection.first - first) * per, wide = (selection.stop - selection.first) * per;
    context.fillStyle = head;
    context.fillRect(x, RULER - 4, wide, 3);
    // Levels that follow each other have one frame.
    for (let at = 0; at < selection.levels.length; at += 1) {
      const begin = selection.levels[at];
      while (selection.levels[at + 1] === selection.levels[at] + 1) at += 1;
      const y = this.top(begin), high = this.top(selection.levels[at]) + row - y;
      context.lineJoin = "round";
      for (const [colour, thick] of strokes) {
        context.strokeStyle = colour;
        context.lineWidth = thick;
        context.strokeRect(x + 0.5, y - 0.5, Math.max(2, wide - 1), high + 1);
      }
    }
  }

  // Choosing

  at(event) {
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const column = Math.max(0, Math.min(this.sheet.columns - 1, Math.floor(this.first + x / this.per)));
    const level = Math.max(0, Math.min(this.sheet.levels - 1, Math.floor((y - RULER) / (this.row + GAP))));
    return { x, column, level, isHead: y < RULER };
  }

  select(selection, how) {
    this.selection = selection;
    this.on.select?.(selection, how);
    this.wake();
  }

  /** Everything between two cells; of a column head, all levels. */
  span(from, to, how) {
    const levels = [];
    const [low, high] = from.isHead ? [0, this.sheet.levels - 1] : [Math.min(from.level, to.level), Math.max(from.level, to.level)];
    for (let level = low; level <= high; level += 1) levels.push(level);
    let [first, stop] = [Math.min(from.column, to.column), Math.max(from.column, to.column) + 1];
    if (this.beat && this.snaps && how === "drag") [first, stop] = this.inBeats(first, stop);
    this.select({ first, stop, levels }, how);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || !this.sheet) return;
      const here = this.at(event);
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      if (!event.shiftKey || !this.anchor) this.anchor = here;
      this.cursor = here;
      this.dragging = { from: here, moved: event.shiftKey };
      this.snaps = (here.isHead || event.shiftKey) && !event.altKey;
      this.span(this.anchor, here, "drag");
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.dragging) return;
      const here = this.at(event);
      if (here.x < 0) this.scrollTo(this.first + here.x / this.per / 4);
      if (here.x > this.width) this.scrollTo(this.first + (here.x - this.width) / this.per / 4);
      if (here.column !== this.dragging.from.column || here.level !== this.dragging.from.level) this.dragging.moved = true;
      this.cursor = here;
      this.snaps = !event.altKey;
      if (this.dragging.moved) this.span(this.anchor, here, "drag");
    });
    canvas.addEventListener("pointerup", () => {
      if (!this.dragging) return;
      const { moved, from } = this.dragging;
      this.dragging = null;
      this.select(this.selection, moved ? "dragged" : from.isHead ? "head" : "cell");
    });
    canvas.addEventListener("pointercancel", () => { this.dragging = null; });
    canvas.addEventListener("wheel", (event) => {
      if (!this.sheet) return;
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        this.zoom(Math.exp(-event.deltaY / 200), event.clientX - canvas.getBoundingClientRect().left);
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        this.scrollTo(this.first + (event.deltaX || event.deltaY) / this.per);
      }
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => { if (this.key(event)) event.preventDefault(); });
  }

  /** Moves or widens the selection; says whether the key was one of its own. */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.sheet) return false;
    const page = Math.max(1, Math.floor(this.columnsShown * 0.8));
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], PageUp: [-page, 0], PageDown: [page, 0], Home: [-this.sheet.columns, 0], End: [this.sheet.columns, 0] };
    if (event.key === "b" && this.beat && this.selection) {
      const [first, stop] = this.inBeats(this.selection.first, this.selection.stop);
      this.select({ ...this.selection, first, stop }, "key");
    } else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (moves[event.key]) {
      const [columns, levels] = moves[event.key], before = this.cursor ?? { column: 0, level: 0 };
      const isFirst = !this.cursor;
      this.cursor = isFirst ? { column: Math.round(this.first), level: 0 } : {
        column: Math.max(0, Math.min(this.sheet.columns - 1, before.column + columns)),
        level: Math.max(0, Math.min(this.sheet.levels - 1, before.level + levels)),
      };
      if (!event.shiftKey || !this.anchor) this.anchor = this.cursor;
      this.span({ ...this.anchor, isHead: false }, this.cursor, "key");
      this.reveal(this.cursor.column);
    } else return false;
    return true;
  }
}

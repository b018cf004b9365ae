// Drawing of sounds on canvases: a waveform from its extremes, a mel spectrogram from its bytes.
import { bytes } from "./api.js";

/** A colour of the page by its name, such as `--held`, as it is in this theme. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The answer of /api/sound/look with its arrays unpacked. */
export function unpack(look) {
  const peaks = new Int8Array(bytes(look.peaks).buffer);
  return { ...look, low: peaks.subarray(0, look.columns), high: peaks.subarray(look.columns), mel: bytes(look.mel) };
}

// Eleven colours of matplotlib's magma (CC0), as in the report.
const MAGMA = [[0, 0, 4], [20, 14, 54], [59, 15, 112], [100, 26, 128], [140, 41, 129], [183, 55, 121], [222, 73, 104], [247, 112, 92], [254, 159, 109], [254, 207, 146], [252, 253, 191]];
const SHADES = Uint8ClampedArray.from({ length: 1024 }, (_, index) => {
  const at = ((index >> 2) / 255) * (MAGMA.length - 1);
  const one = Math.min(MAGMA.length - 2, Math.floor(at));
  const channel = index & 3;
  return channel === 3 ? 255 : MAGMA[one][channel] + (at - one) * (MAGMA[one + 1][channel] - MAGMA[one][channel]);
});

function sized(canvas) {
  const ratio = Math.min(2, devicePixelRatio || 1);
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return [canvas.getContext("2d"), width, height];
}

/** Draws the waveform as high as it goes, so that soft sounds are seen too. */
export function drawWave(canvas, look) {
  const [paint, width, height] = sized(canvas);
  paint.clearRect(0, 0, width, height);
  paint.fillStyle = colour("--held");
  const loudest = Math.max(1, ...look.high, ...look.low.map((value) => -value));
  const scale = (height / 2 - 1) / loudest;
  const step = look.columns / width;
  for (let x = 0; x < width; x += 1) {
    const first = Math.floor(x * step);
    const last = Math.max(first + 1, Math.floor((x + 1) * step));
    let low = 0;
    let high = 0;
    for (let at = first; at < last && at < look.columns; at += 1) {
      low = Math.min(low, look.low[at]);
      high = Math.max(high, look.high[at]);
    }
    const top = height / 2 - Math.max(0.5, high * scale);
    paint.fillRect(x, top, 1, Math.max(1, height / 2 - low * scale - top));
  }
}

/** Draws the spectrogram over the share of the width that it covers. */
export function drawMel(canvas, look) {
  const [paint, width, height] = sized(canvas);
  paint.fillStyle = "#000004";
  paint.fillRect(0, 0, width, height);
  if (!look.bands) return;
  const image = new ImageData(look.mel_columns, look.bands);
  for (let band = 0; band < look.bands; band += 1) {
    const row = (look.bands - 1 - band) * look.mel_columns;
    for (let column = 0; column < look.mel_columns; column += 1) {
      const shade = 4 * look.mel[band * look.mel_columns + column];
      image.data.set(SHADES.subarray(shade, shade + 4), 4 * (row + column));
    }
  }
  const small = new OffscreenCanvas(look.mel_columns, look.bands);
  small.getContext("2d").putImageData(image, 0, 0);
  paint.imageSmoothingQuality = "high";
  paint.drawImage(small, 0, 0, width * Math.min(1, look.mel_seconds / look.seconds), height);
}

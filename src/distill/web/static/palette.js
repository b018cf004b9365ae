// The colours of codes: one palette for all levels, readable on light and on dark paper.
// Entries that stand for similar sounds have similar numbers (worker_process.py), so similar colours are similar sounds.

/** OKLCH (Ottosson 2020) to sRGB, each 0 to 255; what lies outside of it is clipped. */
function rgb(lightness, chroma, hue) {
  const a = chroma * Math.cos(hue), b = chroma * Math.sin(hue);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((one) => {
    const bent = one <= 0.0031308 ? 12.92 * one : 1.055 * one ** (1 / 2.4) - 0.055;
    return Math.round(255 * Math.min(1, Math.max(0, bent)));
  });
}

/** Every entry of a level: `[[first, second], …]`, each 0 to 1, to `[[r, g, b], …]`. */
export const coloured = (entries) => entries.map(([first, second]) => rgb(0.585 + 0.185 * second, 0.115, (20 + 300 * first) * Math.PI / 180));
export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

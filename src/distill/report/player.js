// A playhead over each picture, pressing on a picture to listen from there, and one sound at a time.
// Without this script the page still shows and plays everything.
"use strict";
const players = [...document.querySelectorAll("audio")];

for (const player of players) {
  const track = player.closest(".track");
  const span = Number(track.dataset.span);
  const pane = track.querySelector(".pane");

  const follow = () => {
    pane.style.setProperty("--at", Math.min(player.currentTime / span, 1));
    if (!player.paused) requestAnimationFrame(follow);
  };
  player.addEventListener("play", () => {
    for (const other of players) if (other !== player) other.pause();
    pane.classList.add("heard");
    follow();
  });
  player.addEventListener("seeked", follow);
  pane.addEventListener("click", (press) => {
    const box = pane.getBoundingClientRect();
    player.currentTime = ((press.clientX - box.left) / box.width) * span;
    player.play();
  });
  pane.classList.add("pressable");
}

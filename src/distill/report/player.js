// A playhead over each picture, pressing on a picture to listen from there, and one sound at a time.
// Without this script the page still shows and plays everything.
"use strict";
const players = [...document.querySelectorAll(".track > audio")];

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

// Under a piece of the recordings' voice: a press on a grain plays the place that it was taken from.
for (const strip of document.querySelectorAll(".grains")) {
  const places = strip.querySelector("audio");
  let ends = 0;
  let heard = null;
  const stop = () => {
    places.pause();
    if (heard) heard.classList.remove("heard");
  };
  places.addEventListener("timeupdate", () => { if (places.currentTime >= ends) stop(); });
  strip.addEventListener("click", (press) => {
    if (!press.target.dataset.begin) return;
    stop();
    for (const other of players) other.pause();
    heard = press.target;
    heard.classList.add("heard");
    ends = Number(heard.dataset.begin) + Number(heard.dataset.seconds);
    places.currentTime = Number(heard.dataset.begin);
    places.play();
  });
}

// The sketch pad, and what the model says of it. With `?pixels=` and 64 numbers between 0 and 1 in
// the address, the page looks at these instead of a drawing.
"use strict";

const SIZE = 8;
const pad = document.getElementById("pad");
const pen = pad.getContext("2d", { willReadFrequently: true });
const said = document.getElementById("said");
const rows = Array.from({ length: 10 }, (_, digit) => {
  const row = document.createElement("li");
  row.innerHTML = `<span>${digit}</span><span class="bar"><i></i></span><span class="number"></span>`;
  document.getElementById("bars").append(row);
  return row;
});
let model = null;

function clear() {
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, pad.width, pad.height);
  rows.forEach((row) => show(row, 0, false));
  if (model) said.textContent = "Draw a digit on the black square.";
}

function show(row, share, best) {
  row.className = best ? "best" : "";
  row.querySelector("i").style.width = `${100 * share}%`;
  row.querySelector(".number").textContent = `${(100 * share).toFixed(1)} %`;
  row.dataset.share = share;
}

// The drawing in the middle of 8 by 8 pixels, each the mean of what lies in it.
function pixels() {
  const { data } = pen.getImageData(0, 0, pad.width, pad.height);
  let [left, top, right, bottom] = [pad.width, pad.height, 0, 0];
  for (let y = 0; y < pad.height; y++)
    for (let x = 0; x < pad.width; x++)
      if (data[4 * (y * pad.width + x)] > 40) {
        [left, right] = [Math.min(left, x), Math.max(right, x + 1)];
        [top, bottom] = [Math.min(top, y), Math.max(bottom, y + 1)];
      }
  if (right <= left) return null;
  const reach = Math.max(right - left, bottom - top);
  const small = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
  const to = small.getContext("2d");
  const scale = 64 / reach;
  const [wide, high] = [(right - left) * scale, (bottom - top) * scale];
  to.drawImage(pad, left, top, right - left, bottom - top, (64 - wide) / 2, (64 - high) / 2, wide, high);
  const seen = to.getImageData(0, 0, 64, 64).data;
  const found = new Array(SIZE * SIZE).fill(0);
  for (let y = 0; y < 64; y++)
    for (let x = 0; x < 64; x++)
      found[(y >> 3) * SIZE + (x >> 3)] += seen[4 * (y * 64 + x)] / 255 / 64;
  return found.map((n) => Math.min(1, 1.25 * n));
}

function look(values) {
  if (!model || !values) return;
  const shares = tf.tidy(() => model.predict(tf.tensor(values, [1, SIZE, SIZE, 1])).dataSync());
  const best = shares.indexOf(Math.max(...shares));
  rows.forEach((row, digit) => show(row, shares[digit], digit === best));
  said.textContent = `This looks like a ${best}.`;
}

function at(event) {
  const box = pad.getBoundingClientRect();
  return [
    ((event.clientX - box.left) * pad.width) / box.width,
    ((event.clientY - box.top) * pad.height) / box.height,
  ];
}

let last = null;
pad.addEventListener("pointerdown", (event) => {
  pad.setPointerCapture(event.pointerId);
  last = at(event);
});
pad.addEventListener("pointermove", (event) => {
  if (!last) return;
  const next = at(event);
  Object.assign(pen, { lineWidth: 26, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...next);
  pen.stroke();
  last = next;
});
for (const kind of ["pointerup", "pointercancel"])
  pad.addEventListener(kind, () => {
    last = null;
    look(pixels());
  });
document.getElementById("clear").addEventListener("click", clear);

function paint(values) {
  const side = pad.width / SIZE;
  values.forEach((n, i) => {
    const grey = Math.round(255 * n);
    pen.fillStyle = `rgb(${grey}, ${grey}, ${grey})`;
    pen.fillRect((i % SIZE) * side, Math.floor(i / SIZE) * side, side, side);
  });
}

async function begin() {
  clear();
  try {
    while (!window.tf) await new Promise((done) => setTimeout(done, 50));
    model = await tf.loadLayersModel("model/model.json");
  } catch (error) {
    said.textContent = `The model could not be loaded (${error.message}). Run digits.py first.`;
    return;
  }
  clear();
  const given = new URLSearchParams(location.search).get("pixels");
  if (given) {
    const values = given.split(",").map(Number);
    paint(values);
    look(values);
  }
  document.body.dataset.ready = "yes";
}

begin();

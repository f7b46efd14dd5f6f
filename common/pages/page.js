"use strict";
// Buttons that save a chart as SVG or PNG and a table as CSV: all from what the page already holds.
(() => {
  const light = JSON.parse(document.documentElement.dataset.light);
  const scale = 3; // pixels of a PNG per pixel on the screen

  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  // A copy with the colours of the light theme, which needs no style sheet of the page.
  const alone = (chart) => {
    const copy = chart.cloneNode(true);
    const box = chart.viewBox.baseVal;
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", box.width);
    copy.setAttribute("height", box.height);
    copy.setAttribute("font-family", "Helvetica, Arial, sans-serif");
    const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ width: "100%", height: "100%", fill: light.paper })) {
      paper.setAttribute(key, value);
    }
    copy.insertBefore(paper, copy.firstChild);
    const text = new XMLSerializer().serializeToString(copy);
    return text.replace(/var\(--([a-z0-9-]+)\)/g, (whole, name) => light[name] ?? whole);
  };

  const asSvg = (chart, name) => save(name + ".svg", new Blob([alone(chart)], { type: "image/svg+xml" }));

  const asPng = (chart, name) => {
    const image = new Image();
    image.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = scale * image.width;
      canvas.height = scale * image.height;
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(name + ".png", blob), "image/png");
    };
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(alone(chart));
  };

  // A text that a spreadsheet would take for a formula gets an apostrophe in front.
  const field = (cell) => {
    const text = cell.dataset.value ?? cell.textContent.trim();
    const harmless = /^[=+\-@\t\r]/.test(text) && !/^[+-]?\d[\d.eE+-]*$/.test(text) ? "'" + text : text;
    return /[",\n\r]/.test(harmless) ? '"' + harmless.replaceAll('"', '""') + '"' : harmless;
  };

  const asCsv = (table, name) => {
    const lines = [...table.rows].map((row) => [...row.cells].map(field).join(","));
    save(name + ".csv", new Blob(["\ufeff" + lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
  };

  const offer = (after, choices) => {
    const line = document.createElement("p");
    line.className = "save";
    for (const [words, act] of choices) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words;
      button.addEventListener("click", act);
      line.append(button);
    }
    after.append(line);
  };

  const offerAll = (part) => {
    for (const chart of part.querySelectorAll("[data-chart]")) {
      const picture = chart.querySelector("svg");
      const name = chart.dataset.chart;
      offer(chart, [
        ["Save as SVG", () => asSvg(picture, name)],
        ["Save as PNG", () => asPng(picture, name)],
      ]);
    }
    for (const holder of part.querySelectorAll("[data-table]")) {
      offer(holder, [["Save as CSV", () => asCsv(holder.querySelector("table"), holder.dataset.table)]]);
    }
  };

  offerAll(document);
  document.addEventListener("renewed", (event) => offerAll(event.target)); // a page that renews its parts says so
})();

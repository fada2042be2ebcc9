"use strict";
// A click on a head sorts its table by that column: rising, then falling. Cells without a value stay last.
function key(row, column) {
  const value = row.cells[column].dataset.value;
  return value === "" ? null : value;
}

function compare(a, b, numeric) {
  return numeric ? Number(a) - Number(b) : a.localeCompare(b);
}

function sort(head) {
  const body = head.closest("table").tBodies[0];
  const column = head.cellIndex;
  const rows = Array.from(body.rows);
  const numeric = rows.every((row) => key(row, column) === null || !Number.isNaN(Number(key(row, column))));
  const falling = head.getAttribute("aria-sort") === "ascending";
  rows.sort((one, other) => {
    const a = key(one, column);
    const b = key(other, column);
    if (a === null || b === null) return (a === null) - (b === null);
    return falling ? compare(b, a, numeric) : compare(a, b, numeric);
  });
  for (const each of head.parentElement.cells) each.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  body.append(...rows);
}

for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sort(button.parentElement));
}

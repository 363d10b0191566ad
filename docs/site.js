// What the theme leaves out for keyboards and screen readers: names for the search and for the buttons of each block of
// code, focus for wide tables, a cell instead of an empty heading in the corner of a table.
document$.subscribe(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  setTimeout(() => {
    document.querySelectorAll(".md-typeset__scrollwrap").forEach((wrap) => (wrap.tabIndex = 0));
    document.querySelectorAll(".md-code__nav").forEach((nav, i) => nav.setAttribute("aria-label", `Code block ${i + 1}`));
    document.querySelectorAll(".md-typeset th:empty").forEach((corner) => corner.replaceWith(document.createElement("td")));
  }, 300);
});

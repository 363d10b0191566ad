// What the theme leaves out for keyboards and screen readers: a name for the search, focus for wide tables.
document$.subscribe(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  setTimeout(() => document.querySelectorAll(".md-typeset__scrollwrap").forEach((wrap) => (wrap.tabIndex = 0)), 300);
});

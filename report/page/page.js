const root = getComputedStyle(document.documentElement);
const names = ["ink", "soft", "grid", "line"];
const palette = () => Object.fromEntries(names.map(name => [name, root.getPropertyValue("--" + name).trim()]));
const paint = layout => {
  const colours = palette();
  layout.font = {family: getComputedStyle(document.body).fontFamily, size: 12, color: colours.ink};
  for (const axis of [layout.xaxis, layout.yaxis]) {
    Object.assign(axis, {
      gridcolor: colours.grid, linecolor: colours.line, tickcolor: colours.line,
      zeroline: false, showline: true, ticks: "outside", ticklen: 4,
    });
    axis.title.font = {color: colours.soft, size: 12};
  }
  return layout;
};
const plots = [...document.querySelectorAll("figure.plot")].map(figure => {
  const plot = JSON.parse(figure.querySelector("script").textContent);
  const target = document.createElement("div");
  figure.append(target);
  const draw = () => {
    const layout = {...paint(plot.layout), width: target.clientWidth};
    return Plotly.react(target, plot.data, layout, {displayModeBar: false});
  };
  new ResizeObserver(draw).observe(figure);  // it draws at once; plotly's own way waits
  return draw;
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach(draw => draw()));

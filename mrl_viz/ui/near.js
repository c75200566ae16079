// The text under the pointer and its neighbors at the width that the map shows are joined by lines, drawn by the browser
// alone: asking the server would take longer than a pointer stays.
const LOOK_MS = 150, SVG = "http://www.w3.org/2000/svg"

export default function ({ data, parentElement }) {
  const own = (parentElement.near ??= {})
  if (own.told !== data.neighbors) {
    own.told = data.neighbors
    own.neighbors = new Int16Array(Uint8Array.from(atob(data.neighbors), (letter) => letter.charCodeAt(0)).buffer)
  }

  const clear = () => own.lines?.remove()
  const show = ({ points: [point] }) => {
    clear()
    const { _fullData, _fullLayout, calcdata } = own.chart
    const places = new Map()
    // After the texts come three traces of what is selected.
    _fullData.slice(0, -3).forEach((trace, group) =>
      calcdata[group].forEach((place, number) => places.set(Number(trace.customdata[number]), place)))
    const from = places.get(Number(point.customdata)), text = data.items.indexOf(Number(point.customdata))
    const plot = own.chart.querySelector(".scatterlayer")?.parentNode
    if (!from || text < 0 || !plot) return
    const { xaxis, yaxis } = _fullLayout, level = _fullLayout.sliders[0]?.active ?? 0
    const first = (level * data.items.length + text) * data.k
    own.lines = document.createElementNS(SVG, "g")
    own.lines.setAttribute("class", "near")
    for (const place of own.neighbors.slice(first, first + data.k)) {
      const to = place < 0 ? undefined : places.get(data.items[place])
      if (!to) continue
      const line = document.createElementNS(SVG, "line")
      const ends = { x1: xaxis.c2p(from.x), y1: yaxis.c2p(from.y), x2: xaxis.c2p(to.x), y2: yaxis.c2p(to.y) }
      for (const [name, value] of Object.entries(ends)) line.setAttribute(name, value)
      own.lines.append(line)
    }
    plot.append(own.lines)
  }
  const look = () => {
    const chart = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`)
    if (!chart?.on || !chart._fullLayout?.sliders || chart === own.chart) return
    own.chart = chart
    chart.on("plotly_hover", (event) => own.show(event))
    for (const name of ["plotly_unhover", "plotly_animatingframe", "plotly_relayout"]) chart.on(name, () => own.clear())
  }
  Object.assign(own, { show, clear })
  clearInterval(own.timer)
  look()
  own.timer = setInterval(look, LOOK_MS)
  return () => clearInterval(own.timer)
}

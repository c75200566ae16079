// The map moves in the browser. This tells the app which width it shows, and makes it show the one that the app is at,
// with what is drawn of the selected texts: a chart that came new from the server would lose its zoom and not glide.
const LOOK_MS = 150, GLIDE_MS = 400

export default function ({ data, parentElement, setTriggerValue }) {
  const own = (parentElement.together ??= { told: [] })
  // A width that comes back after it was told is no wish: the map has moved on since.
  const echo = own.told.indexOf(data.width)
  own.told.splice(0, echo + 1)
  if (echo < 0 && data.width !== own.asked) {
    own.wanted = data.width
    own.told = []
  }
  own.asked = data.width
  const selected = JSON.stringify(data.frames)

  const look = () => {
    const chart = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`)
    if (!window.Plotly || !chart?._transitionData || !chart._fullLayout?.sliders?.length) return
    const isNew = chart !== own.chart, isOther = isNew || selected !== own.selected
    if (isNew) {
      own.chart = chart
      own.wanted = data.width
      chart.on("plotly_animatingframe", ({ name }) => {
        if (name === own.shown) return
        own.shown = name
        own.told.push(name)
        setTriggerValue("width", Number(name))
      })
    }
    if (isOther) {
      const last = chart.data.length - data.frames[0].data.length
      window.Plotly.addFrames(chart, data.frames.map((frame) => ({ ...frame, traces: frame.data.map((_, n) => last + n) })))
    }
    const goes = own.wanted !== undefined && own.wanted !== own.shown
    if (goes) own.shown = own.wanted
    own.wanted = undefined
    own.selected = selected
    if (!isOther && !goes) return
    const duration = goes && !isNew && data.glides ? GLIDE_MS : 0
    window.Plotly.animate(chart, [own.shown], {
      mode: "immediate", frame: { duration, redraw: true }, transition: { duration, easing: "cubic-in-out" },
    })
  }
  clearInterval(own.timer)
  look()
  own.timer = setInterval(look, LOOK_MS)
  return () => clearInterval(own.timer)
}

// Pictures on the map, cut from one sheet and drawn on a canvas of ours over the chart, which lets the pointer through:
// of the text under the pointer, of the chosen ones and their neighbors, and of all others where there is room.
const LOOK_MS = 150, SMALL = 22, NEAR = 30, CHOSEN = 40, LARGE = 72, GAP = 12, ROUNDS = 60
const NEAR_COLOR = "#0072B2", FRAME = "#808080"

// Pictures that would cover each other move apart, but for the chosen ones; a line leads from each to its point.
const apart = (places, fixed) => {
  const moved = places.map(({ x, y }, n) => ({ x: x + Math.cos(n), y: y + Math.sin(n) }))
  for (let round = 0; round < ROUNDS; round++)
    for (const one of moved)
      for (const other of [...fixed, ...moved]) {
        const side = (fixed.includes(other) ? (NEAR + CHOSEN) / 2 : NEAR) + 5
        const across = one.x - other.x, down = one.y - other.y, distance = Math.hypot(across, down)
        if (one === other || distance >= side) continue
        one.x += across / (distance || 1) * (side - distance) / 2
        one.y += down / (distance || 1) * (side - distance) / 2
      }
  return moved
}

export default function ({ data, parentElement }) {
  const own = (parentElement.pictures ??= {})
  if (own.told !== data.sheet) {
    own.told = data.sheet
    own.row = new Map(data.items.map((item, row) => [item, row]))
    own.sheet = new Image()
    own.sheet.src = data.sheet
  }

  // Where each text is, and its colour, as the chart shows them now.
  const places = () => {
    const found = new Map(), { xaxis, yaxis } = own.chart._fullLayout
    // After the texts come three traces of what is selected.
    for (const { visible, customdata, x, y, marker } of own.chart._fullData.slice(0, -3)) {
      if (visible !== true) continue
      const color = typeof marker.color === "string" ? marker.color : FRAME
      customdata.forEach((item, number) => found.set(Number(item), {
        x: xaxis._offset + xaxis.c2p(x[number]), y: yaxis._offset + yaxis.c2p(y[number]), color,
      }))
    }
    return found
  }

  const draw = () => {
    const { width, height, xaxis, yaxis } = own.chart._fullLayout, canvas = own.canvas, ratio = window.devicePixelRatio || 1
    const left = xaxis._offset, top = yaxis._offset, right = left + xaxis._length, bottom = top + yaxis._length
    canvas.width = width * ratio
    canvas.height = height * ratio
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` })
    const pen = canvas.getContext("2d")
    pen.scale(ratio, ratio)
    const long = Math.max(data.width, data.height), drawn = []
    const picture = (item, x, y, side, color, line) => {
      const row = own.row.get(item), wide = side * data.width / long, high = side * data.height / long
      // A few pixels are squares, not a blur.
      pen.imageSmoothingEnabled = 2 * long > side
      pen.drawImage(
        own.sheet, row % data.columns * data.width, Math.floor(row / data.columns) * data.height, data.width, data.height,
        x - wide / 2, y - high / 2, wide, high)
      pen.lineWidth = line
      pen.strokeStyle = color
      pen.strokeRect(x - wide / 2, y - high / 2, wide, high)
      drawn.push(item)
    }
    const there = places(), taken = new Map()
    const isIn = ({ x, y }) => x >= left && x <= right && y >= top && y <= bottom
    const cell = (value) => Math.floor(value / SMALL)
    const isFree = ({ x, y }) => {
      for (let across = -1; across <= 1; across++) for (let down = -1; down <= 1; down++)
        for (const other of taken.get(`${cell(x) + across} ${cell(y) + down}`) ?? [])
          if (Math.abs(other.x - x) < SMALL && Math.abs(other.y - y) < SMALL) return false
      return true
    }
    const take = (place) => {
      const key = `${cell(place.x)} ${cell(place.y)}`
      taken.set(key, [...(taken.get(key) ?? []), place])
    }
    const chosen = data.chosen.filter((item) => there.has(item) && isIn(there.get(item)))
    const joined = [...new Set(Array.from(own.chart._fullData.at(-3).customdata ?? [], Number))]
    const near = joined.filter((item) => there.has(item) && !chosen.includes(item) && isIn(there.get(item)))
    for (const item of [...chosen, ...near]) take(there.get(item))
    if (data.all) for (const [item, place] of there) {
      if (!own.row.has(item) || !isIn(place) || !isFree(place)) continue
      take(place)
      picture(item, place.x, place.y, SMALL - 3, place.color, 1.5)
    }
    const spread = apart(near.map((item) => there.get(item)), chosen.map((item) => there.get(item)))
    near.forEach((item, n) => {
      const place = there.get(item)
      pen.lineWidth = 1
      pen.strokeStyle = NEAR_COLOR
      pen.beginPath()
      pen.moveTo(place.x, place.y)
      pen.lineTo(spread[n].x, spread[n].y)
      pen.stroke()
    })
    near.forEach((item, n) => picture(item, spread[n].x, spread[n].y, NEAR, NEAR_COLOR, 2))
    for (const item of chosen) picture(item, there.get(item).x, there.get(item).y, CHOSEN, there.get(item).color, 3)
    const under = there.get(own.hovered)
    if (under && own.row.has(own.hovered)) {
      const x = Math.min(Math.max(under.x, left + LARGE / 2), right - LARGE / 2)
      const above = under.y - GAP - LARGE / 2, below = under.y + GAP + LARGE / 2
      picture(own.hovered, x, above - LARGE / 2 < 0 ? below : above, LARGE, FRAME, 1)
    }
    canvas.dataset.drawn = drawn.length
    canvas.dataset.hovered = under ? own.hovered : ""
  }

  const look = () => {
    const chart = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`), layout = chart?._fullLayout
    const room = chart?.querySelector(".svg-container")
    if (!chart?.on || !layout?.xaxis || !room || !own.sheet.complete || !own.sheet.naturalWidth) return
    if (chart !== own.chart) {
      own.chart = chart
      own.hovered = undefined
      chart.on("plotly_hover", ({ points: [point] }) => own.show(Number(point.customdata)))
      chart.on("plotly_unhover", () => own.show(undefined))
      chart.on("plotly_relayouting", () => own.draw())
    }
    if (!own.canvas?.isConnected || own.canvas.parentNode !== room) {
      own.canvas?.remove()
      own.canvas = document.createElement("canvas")
      own.canvas.className = "pictures"
      Object.assign(own.canvas.style, { position: "absolute", left: 0, top: 0, pointerEvents: "none" })
      // Over the points and under the words beside the pointer.
      room.insertBefore(own.canvas, room.querySelectorAll(":scope > .main-svg")[1] ?? null)
      own.seen = undefined
    }
    const first = chart._fullData[0], { xaxis, yaxis, width, height } = layout
    const seen = JSON.stringify([
      data.all, data.chosen, own.hovered, own.told.length, width, height, xaxis.range, yaxis.range, layout.sliders?.[0]?.active,
      Array.from(chart._fullData.at(-3).customdata ?? []), chart._fullData.map((trace) => trace.visible),
      first.x[0], first.y[0], first.name,
    ])
    if (seen === own.seen) return
    own.seen = seen
    draw()
  }
  Object.assign(own, { draw: () => own.canvas && draw(), show: (item) => { own.hovered = item; look() } })
  clearInterval(own.timer)
  look()
  own.timer = setInterval(look, LOOK_MS)
  return () => {
    clearInterval(own.timer)
    own.canvas?.remove()
  }
}

-- Sends the bodies of a file in turn: wrk … -s load.lua URL -- FILE
-- Every @ in a body becomes an instant of its own, so that none is an unchanged question.
local bodies, n = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local pieces = {}
    for piece in line:gmatch("[^@]+") do pieces[#pieces + 1] = piece end
    bodies[#bodies + 1] = pieces
  end
  n = math.floor(io.open("/proc/uptime"):read("*n") * 100) % 1000 * 3000000
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
end

function request()
  n = n + 1
  local instant = string.format("2026-11-22T11:%02d:%02d.%06dZ", math.floor(n / 60000000) % 60,
                                math.floor(n / 1000000) % 60, n % 1000000)
  return wrk.format(nil, wrk.path, nil, table.concat(bodies[n % #bodies + 1], instant))
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\nJSON {"requests":%d,"micros":%d,"p50":%f,"p99":%f,"failed":%d}\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.status + e.connect + e.read + e.write + e.timeout))
end

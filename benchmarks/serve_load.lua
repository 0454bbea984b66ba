-- Sends the bodies of a file in turn: wrk … -s serve_load.lua URL -- FILE [stamp]
-- With `stamp` each gets an instant of its own as `asked_at`, so that none is an unchanged question.
local bodies, stamp, n = {}, false, 0

function init(arguments)
  for line in io.lines(arguments[1]) do bodies[#bodies + 1] = line end
  stamp = arguments[2] == "stamp"
  n = math.floor(io.open("/proc/uptime"):read("*n") * 100) % 1000 * 3000000
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
end

function request()
  n = n + 1
  local body = bodies[n % #bodies + 1]
  if stamp then
    body = body .. string.format(',"asked_at":"2026-11-22T11:%02d:%02d.%06dZ"}', math.floor(n / 60000000) % 60,
                                 math.floor(n / 1000000) % 60, n % 1000000)
  end
  return wrk.format(nil, wrk.path, nil, body)
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\nJSON {"requests":%d,"micros":%d,"p50":%f,"p99":%f,"failed":%d}\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.status + e.connect + e.read + e.write + e.timeout))
end

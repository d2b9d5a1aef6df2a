-- wrk: posts one body again and again, or gets if it is empty; prints the figures as one line of JSON.
-- BENCH_BODY: file with the body; BENCH_JSON_SIZE: bytes of its JSON part when tensors follow.
local file = assert(io.open(os.getenv("BENCH_BODY"), "rb"))
local body = file:read("*a")
file:close()
wrk.method = body == "" and "GET" or "POST"
if body ~= "" then wrk.body = body end
local json_size = os.getenv("BENCH_JSON_SIZE")
if json_size and json_size ~= "" then
  wrk.headers["Content-Type"] = "application/octet-stream"
  wrk.headers["Inference-Header-Content-Length"] = json_size
elseif body ~= "" then
  wrk.headers["Content-Type"] = "application/json"
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'BENCH {"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end

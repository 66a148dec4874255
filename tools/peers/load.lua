-- Makes one kind of request until the time is over, and writes one line of figures. In BODY, @ is AFTER and a number that no
-- other request has.
wrk.method = os.getenv("METHOD")
local body, after = os.getenv("BODY"), os.getenv("AFTER")
if body then
	wrk.body = body
	wrk.headers["Content-Type"] = "application/json"
	wrk.headers["Accept"] = "application/json, text/event-stream"
end
if os.getenv("TOKEN") then
	wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
end

if body and body:find("@") then
	local made = 0
	request = function()
		made = made + 1
		local number = after .. made
		return wrk.format(nil, nil, nil, (body:gsub("@", number)))
	end
end

done = function(summary, latency)
	local e = summary.errors
	io.write(string.format("figures %f %f %f %d %d\n", summary.requests * 1e6 / summary.duration, latency:percentile(50), latency:percentile(99),
		summary.requests, e.status + e.connect + e.read + e.write + e.timeout))
end

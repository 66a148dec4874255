package bench

import (
	"context"
	"runtime"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// table is every row, in the order in which they are measured.
var table = []row{
	{"creates/latency", "a create over HTTP, 1 connection, median", publishing, microseconds, goal{moreAtMost, 300}, latency(creates(1))},
	{"creates/1", "creates over HTTP, 1 connection", publishing, aSecond, goal{}, creates(1)},
	{"creates/8", "creates over HTTP, 8 connections", publishing, aSecond, goal{}, creates(8)},
	{"creates/64", "creates over HTTP, 64 connections", publishing, aSecond, goal{ratioAtLeast, 0.7}, creates(64)},
	{"updates/latency", "an update over HTTP, 1 connection, median", publishing, microseconds, goal{moreAtMost, 300}, latency(updates(1))},
	{"updates/1", "updates over HTTP, 1 connection", publishing, aSecond, goal{}, updates(1)},
	{"updates/8", "updates over HTTP, 8 connections", publishing, aSecond, goal{}, updates(8)},
	{"updates/64", "updates over HTTP, 64 connections", publishing, aSecond, goal{ratioAtLeast, 0.7}, updates(64)},

	{"creates/128", "creates over HTTP, 128 connections", publishing, aSecond, goal{ratioAtLeast, 1.3}, creates(128)},
	{"append/latency", "an append to the event store, 1 writer, median", publishing, microseconds, goal{moreAtMost, 50}, latency(appends(1))},
	{"append/8", "appends to the event store, 8 writers", publishing, aSecond, goal{}, appends(8)},
	{"append/32", "appends to the event store, 32 writers", publishing, aSecond, goal{}, appends(32)},
	{"append/128", "appends to the event store, 128 writers", publishing, aSecond, goal{ratioAtLeast, 2}, appends(128)},

	{"get", "gets by id over HTTP, 64 connections", "Gin answering the same bytes from memory", aSecond, goal{ratioAtLeast, 0.7}, gets},

	{"list/newest", "a page of 50, the newest first, median", querying, microseconds, goal{ratioAtMost, 1.3}, lists("", projections.Query{}, byP50)},
	{"list/name", "a page of 50 by name, median", querying, microseconds, goal{ratioAtMost, 1.3}, lists("sort_by=name", sorted(projections.Name), byP50)},
	{"list/updated", "a page of 50 by the last update, median", querying, microseconds, goal{ratioAtMost, 1.3}, lists("sort_by=updated_at", sorted(projections.UpdatedAt), byP50)},
	{"list/filtered", "a page of 50 of those enabled that speak FHIR, median", querying, microseconds, goal{ratioAtMost, 1.3}, lists("enabled=true&protocol=fhir", projections.Query{Filter: filtered()}, byP50)},
	{"search/median", "a search for part of a name in a workspace of 1,000, median", querying, microseconds, goal{ratioAtMost, 1.3}, lists("search="+sought, projections.Query{Filter: projections.Filter{Search: sought}}, byP50)},
	{"search/p99", "a search for part of a name in a workspace of 1,000, p99", querying, milliseconds, goal{figureAtMost, 5}, lists("search="+sought, projections.Query{Filter: projections.Filter{Search: sought}}, byP99)},

	{"search/large", "a search in a workspace of 50,000, p99", querying, milliseconds, goal{figureAtMost, 50}, listsLarge("search="+sought, projections.Query{Filter: projections.Filter{Search: sought}}, byP99)},
	{"list/large", "a page of 50 and its total, of one workspace with all integrations, median", "a page of a workspace of 1,000", microseconds, goal{ratioAtMost, 1.3}, listsWhole("")},
	{"list/growth", "a page of 50 by name, p99", "the same with a hundredth of the integrations", milliseconds, goal{ratioAtMost, 1.5}, growth("sort_by=name")},

	{"rebuild", "events read, decoded and written to another read model", "an ordered consumer of the last events with the same decode", aSecond, goal{ratioAtLeast, 0.5}, rebuild},
	{"rebuild/insert", "events read, decoded and written to another read model", "the same integrations, made in memory, written in bulk", aSecond, goal{ratioAtLeast, 0.8}, rebuildBesideInsert},
	{"replay", "events replayed as CloudEvents, a line each", "an ordered consumer", aSecond, goal{ratioAtLeast, 0.5}, replay},

	{"visible", "a write at 1,000/s until lists show it, p99", "jetstream.PublishMsg alone at 1,000/s", milliseconds, goal{figureAtMost, 10}, visible},
	{"live/1", "a write until 1 listener has the event, p99", "core NATS from publish to 1 subscriber", milliseconds, goal{figureAtMost, 10}, live(1)},
	{"live/1000", "a write until each of 1,000 listeners has the event, p99", "core NATS from publish to 1,000 subscribers", milliseconds, goal{figureAtMost, 50}, live(1000)},
	{"live/5000", "a write until each of 5,000 listeners has the event, p99", "core NATS from publish to 5,000 subscribers", milliseconds, goal{}, live(5000)},

	{"test", "a test of an endpoint, recorded, median", bareCall, microseconds, goal{moreAtMost, 300}, latency(calls("test", 1))},
	{"invoke", "an endpoint called as a tool, recorded, median", bareCall, microseconds, goal{moreAtMost, 300}, latency(calls("invoke", 1))},
	{"invoke/16", "endpoints called as tools, recorded, 16 connections", bareCall, aSecond, aCore(3000), calls("invoke", 16)},
	{"mcp", "tools/call over MCP, recorded, median", bareCall, microseconds, goal{moreAtMost, 300}, latency(calls(overMCP, 1))},
	{"mcp/16", "tools/call over MCP, recorded, 16 connections", bareCall, aSecond, aCore(3000), calls(overMCP, 16)},
	{"probes", "probes through the queue, an upstream of 1 ms, each recorded", "16 at once of the same calls in a bare loop", aSecond, goal{ratioAtLeast, 0.5}, probes},

	{"memory/empty", "memory of the service without integrations", serverOnly, megabytes, goal{moreAtMost, 80}, memory((*lab).emptyFolder)},
	{"memory/filled", "memory of the service with them", serverOnly, megabytes, goal{ratioAtMost, 1.5}, memory((*lab).filledFolder)},
	{"memory/whole", "memory of the service with all of them in one workspace", serverOnly, megabytes, goal{ratioAtMost, 1.5}, memory((*lab).wholeFolder)},
	{"memory/events", "memory of the service with as many events of one workspace", serverOnly, megabytes, goal{ratioAtMost, 1.5}, memory((*lab).eventsFolder)},
	{"memory/listeners", "memory of the service with 5,000 listeners", "nats-server with as many subscribers", megabytes, goal{}, listened(5000)},
	{"start/empty", "from start to ready without integrations", serverOnly, seconds, goal{moreAtMost, 0.3}, starts((*lab).emptyFolder)},
	{"start/filled", "from start to ready with them", serverOnly, seconds, goal{moreAtMost, 0.3}, starts((*lab).filledFolder)},
	{"start/whole", "from start to ready with all of them in one workspace", serverOnly, seconds, goal{moreAtMost, 0.3}, starts((*lab).wholeFolder)},
	{"start/events", "from start to ready with as many events of one workspace", serverOnly, seconds, goal{moreAtMost, 0.3}, starts((*lab).eventsFolder)},
}

// bareCall is the limit of a call.
const bareCall = "a bare http.Client call of the same upstream"

// sought is part of many names of the filled service.
const sought = "y-00"

func sorted(by projections.Field) projections.Query {
	return projections.Query{Sort: projections.Sort{By: by, Ascending: true}}
}

func filtered() projections.Filter {
	return projections.Filter{Enabled: new(true), Protocol: domain.FHIR}
}

// aCore is the goal of a rate for each CPU of this machine.
func aCore(each float64) goal { return goal{figureAtLeast, each * float64(runtime.NumCPU())} }

// latency measures how long one takes instead of how many are made.
func latency(measure func(context.Context, *lab) (pair, error)) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		p, err := measure(ctx, l)
		return pair{figure: byP50(p.figure), limit: byP50(p.limit), end: p.end}, err
	}
}

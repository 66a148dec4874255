package domain

// A Trial is an answer that the steps of an endpoint are tried on.
type Trial struct {
	Endpoint Endpoint // its steps
	Status   int      // of HTTP
	Response any      // decoded JSON
}

// ReadTrial reads a trial, within the limits of an endpoint. Expressions and templates are not
// compiled: what is wrong with them belongs to what comes of the trial.
func ReadTrial(doc Document) (Trial, error) {
	compiles := func(string) error { return nil }
	problems := []Problem{}
	in := newObject("", doc, &problems)
	t := Trial{Status: 200}
	t.Endpoint.readSteps(in, Rules{Expression: compiles, Template: compiles}, 0)
	in.integer("status_code", &t.Status, 100, 599)
	t.Response, _ = in.given("response")
	_, there := doc["response"] // it may be null
	in.required("response", there)
	in.done()
	return t, RefuseAll(problems)
}

package console

import "net/url"

// moments are the rows below the picture, the newest first.
func (d timelinePage) moments() (all []moment) {
	t := d.T
	for n := range t.Changes {
		all = append(all, moment{At: t.Changes[n].Time, Change: &t.Changes[n]})
	}
	for n := range t.States {
		if n > 0 {
			all = append(all, moment{At: t.States[n].From, State: &t.States[n]})
		}
	}
	for n := range d.Hooks {
		all = append(all, moment{At: d.Hooks[n].At, Hook: &d.Hooks[n]})
	}
	sortNewest(all)
	return all[:min(len(all), maxMoments)]
}

// maxMoments bounds the rows below a picture.
const maxMoments = 250

const maxHooked = 5 // destinations whose failures a timeline shows

// failedWebhooks returns the failed attempts in a span to deliver events of an integration, or of
// any: of the first destinations, the last of each.
func (p *page) failedWebhooks(id string, t *timeline) (all []delivery, err error) {
	if !p.Me.May("Webhook.manage") {
		return nil, nil
	}
	var got struct {
		Items []destination `json:"items"`
	}
	if err := p.get("/webhook-destinations", nil, &got); err != nil {
		return nil, err
	}
	for _, to := range got.Items[:min(len(got.Items), maxHooked)] {
		var past struct {
			Items []delivery `json:"items"`
		}
		if err := p.get("/webhook-destinations/"+url.PathEscape(to.ID)+"/deliveries", url.Values{"status": {"failed"}, "limit": {"50"}}, &past); err != nil {
			return nil, err
		}
		for _, one := range past.Items {
			if (id == "" || text(one.IntegrationID) == id) && !one.At.Before(t.From) && one.At.Before(t.To) {
				one.To, one.ToID = text(to.Name), to.ID
				if one.To == "" {
					one.To = to.URL
				}
				all = append(all, one)
			}
		}
	}
	return all, nil
}

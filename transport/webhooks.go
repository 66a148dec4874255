package transport

import (
	"net/http"
	"slices"
	"time"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/webhooks"
)

// destinationAnswer is the representation of a webhook destination. Its secret is only present
// when it was just created.
type destinationAnswer struct {
	ID             string                  `json:"id"`
	WorkspaceID    domain.Workspace        `json:"workspace_id"`
	URL            string                  `json:"url"`
	Name           *string                 `json:"name"`
	Description    string                  `json:"description"`
	EventTypes     []string                `json:"event_types"`
	AcceptedTypes  []string                `json:"accepted_event_types"` // the same as EventTypes
	RetryAttempts  *int                    `json:"retry_attempts"`
	Enabled        bool                    `json:"enabled"`
	DisabledReason *string                 `json:"disabled_reason"` // why the service disabled it
	CreatedAt      time.Time               `json:"created_at"`
	UpdatedAt      time.Time               `json:"updated_at"`
	SigningSecret  destinationSecretAnswer `json:"signing_secret"`
	Secret         string                  `json:"secret,omitempty"`
}

type destinationSecretAnswer struct {
	Set             bool       `json:"set"`
	Version         uint64     `json:"version"`
	PreviousExpires *time.Time `json:"previous_expires_at"` // until when the previous secret signs too
}

func (s *Server) showDestination(d domain.WebhookDestination) destinationAnswer {
	a := destinationAnswer{
		ID: d.ID, WorkspaceID: d.Workspace, URL: d.URL, Name: nullable(d.Name), Description: d.Description,
		EventTypes: d.EventTypes, AcceptedTypes: d.EventTypes, RetryAttempts: d.RetryAttempts, Enabled: d.Enabled,
		DisabledReason: nullable(d.DisabledReason), CreatedAt: instant(d.CreatedAt), UpdatedAt: instant(d.UpdatedAt),
		SigningSecret: destinationSecretAnswer{Set: true, Version: d.SecretVersion},
	}
	if len(d.Signing(s.Now())) > 1 {
		a.SigningSecret.PreviousExpires = new(instant(d.PreviousExpires))
	}
	return a
}

// withSecret returns a destination with a new secret.
func (s *Server) withSecret(d domain.WebhookDestination, secret domain.Secret) destinationAnswer {
	a := s.showDestination(d)
	a.Secret = secret.Reveal()
	return a
}

func (s *Server) createDestination(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, false)
	if err != nil {
		return answer{}, err
	}
	d, secret, err := s.Webhooks.Create(r, r.workspace, doc)
	if err != nil {
		return answer{}, err
	}
	at := "/v1/" + string(r.workspace) + "/webhook-destinations/" + d.ID
	return answer{status: http.StatusCreated, body: s.withSecret(d, secret), header: map[string]string{"Location": at}}, nil
}

func (s *Server) listDestinations(r *request) (answer, error) {
	all := s.Webhooks.List(r.workspace)
	body := struct {
		Items []destinationAnswer `json:"items"`
		Total int                 `json:"total"`
	}{Items: make([]destinationAnswer, len(all)), Total: len(all)}
	for n, d := range all {
		body.Items[n] = s.showDestination(d)
	}
	return answer{status: http.StatusOK, body: body}, nil
}

func (s *Server) getDestination(r *request) (answer, error) {
	d, err := s.Webhooks.Get(r, r.workspace, r.Param("destination"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: s.showDestination(d)}, nil
}

func (s *Server) updateDestination(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, false)
	if err != nil {
		return answer{}, err
	}
	d, err := s.Webhooks.Update(r, r.workspace, r.Param("destination"), doc)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: s.showDestination(d)}, nil
}

func (s *Server) deleteDestination(r *request) (answer, error) {
	if err := s.Webhooks.Delete(r, r.workspace, r.Param("destination")); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}

// secretOverlap is how many seconds the previous signing secret signs too, by default.
const secretOverlap = 24 * 3600

func (s *Server) rotateDestination(r *request) (answer, error) {
	doc, _, err := r.body(maxBody, true)
	if err != nil {
		return answer{}, err
	}
	overlap, err := readOverlap(doc, secretOverlap)
	if err != nil {
		return answer{}, err
	}
	d, secret, err := s.Webhooks.Rotate(r, r.workspace, r.Param("destination"), overlap)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: s.withSecret(d, secret)}, nil
}

// deliveryAnswer is one attempt to deliver.
type deliveryAnswer struct {
	ID            string           `json:"id"` // the webhook-id
	Type          string           `json:"type"`
	IntegrationID *domain.ID       `json:"integration_id"` // null for a test
	Position      *uint64          `json:"position"`
	Attempt       int              `json:"attempt"`
	Status        webhooks.Status  `json:"status"`
	HTTPStatus    *int             `json:"http_status"`
	DurationMS    milliseconds     `json:"duration_ms"`
	Error         *deliveryProblem `json:"error"`
	At            time.Time        `json:"at"`
	NextAt        *time.Time       `json:"next_at"`
}

type deliveryProblem struct {
	Code    domain.ErrorCode `json:"code"`
	Message string           `json:"message"`
}

func showDelivery(d webhooks.Delivery) deliveryAnswer {
	a := deliveryAnswer{
		ID: d.ID, Type: d.Type, IntegrationID: nullable(d.Integration), Position: nullable(d.Position), Attempt: d.Attempt, Status: d.Status,
		HTTPStatus: nullable(d.HTTPStatus), DurationMS: milliseconds(d.Duration), At: instant(d.At), NextAt: nullable(instant(d.NextAt)),
	}
	if d.Problem != "" {
		a.Error = &deliveryProblem{d.Code, d.Problem}
	}
	return a
}

func (s *Server) listDeliveries(r *request) (answer, error) {
	q := r.query()
	limit := q.integer("limit", 50, 1, 200)
	token, _ := q.text("continuation_token")
	text, given := q.text("status")
	if given && !slices.Contains(webhooks.Statuses(), webhooks.Status(text)) {
		q.problem("status", "enum", "must be delivered, failed or dead")
	}
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	id := r.Param("destination")
	scope := []string{"deliveries", string(r.workspace), id, text}
	before, err := s.openPosition(token, scope)
	if err != nil {
		return answer{}, err
	}
	page, next, err := s.Webhooks.Deliveries(r, r.workspace, id, webhooks.Status(text), before, limit)
	if err != nil {
		return answer{}, err
	}
	body := struct {
		Items             []deliveryAnswer `json:"items"`
		HasMore           bool             `json:"has_more"`
		ContinuationToken *string          `json:"continuation_token"`
	}{Items: make([]deliveryAnswer, len(page)), HasMore: next > 0}
	for n, d := range page {
		body.Items[n] = showDelivery(d)
	}
	if next > 0 {
		body.ContinuationToken = new(s.sealPosition(next, scope))
	}
	return answer{status: http.StatusOK, body: body}, nil
}

func (s *Server) redeliver(r *request) (answer, error) {
	if err := r.takesNothing(); err != nil {
		return answer{}, err
	}
	id := r.Param("delivery")
	if err := s.Webhooks.Redeliver(r, r.workspace, r.Param("destination"), id); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, body: map[string]string{"id": id, "status": "pending"}}, nil
}

func (s *Server) testDestination(r *request) (answer, error) {
	if err := r.takesNothing(); err != nil {
		return answer{}, err
	}
	d, err := s.Webhooks.Test(r, r.workspace, r.Param("destination"))
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: showDelivery(d)}, nil
}

// takesNothing refuses every member of an optional body.
func (r *request) takesNothing() error {
	doc, _, err := r.body(maxBody, true)
	if err != nil {
		return err
	}
	return domain.RefuseAll(unknownMembers("", doc))
}

package transport

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
)

// workspacesAnswer is a page of workspaces.
type workspacesAnswer struct {
	Items             []workspaceAnswer `json:"items"`
	HasMore           bool              `json:"has_more"`
	ContinuationToken *string           `json:"continuation_token"`
}

type workspaceAnswer struct {
	WorkspaceID  domain.Workspace `json:"workspace_id"`
	Integrations int              `json:"integrations"` // without built-ins
}

// serveWorkspaces lists the workspaces with an integration, for a key of the operator and for
// tokens that permit to enter all.
func (s *Server) serveWorkspaces(limits *limiters) gin.HandlerFunc {
	return func(c *gin.Context) {
		key, err := s.authenticate(c)
		everywhere := key.Operator() || key.SignedIn != nil && key.SignedIn.Everywhere
		if err == nil && (!everywhere || !key.May(access.View)) {
			err = domain.Errorf(domain.Forbidden, "forbidden", "only a key of the operator, or a token for every workspace, with the permission %s lists workspaces", access.View)
		}
		if err == nil && key.Narrow() {
			err = domain.Errorf(domain.Forbidden, "forbidden", "a key for some integrations or tools can't list workspaces")
		}
		if err == nil {
			err = limits.allow(c, key.ID, read, s.Now())
		}
		r := &request{Context: c, ctx: c.Request.Context()}
		if err == nil {
			err = r.refuseOtherParameters("limit continuation_token")
		}
		var a answer
		if err == nil {
			a, err = s.listWorkspaces(r)
		}
		if err != nil {
			s.refuse(c, err)
			return
		}
		a.write(c)
	}
}

func (s *Server) listWorkspaces(r *request) (answer, error) {
	q := r.query()
	limit := q.integer("limit", 50, 1, 200)
	token, _ := q.text("continuation_token")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	var after domain.Workspace
	if !projections.FirstPage(token) {
		place, err := s.Cursors.Open(token, "workspaces")
		if err != nil {
			return answer{}, err
		}
		after = domain.Workspace(place)
	}
	all, err := s.Read.Workspaces(r, after, limit+1)
	if err != nil {
		return answer{}, err
	}
	body := workspacesAnswer{Items: []workspaceAnswer{}, HasMore: len(all) > limit}
	for _, one := range all[:min(limit, len(all))] {
		body.Items = append(body.Items, workspaceAnswer{one.Workspace, one.Integrations})
	}
	if body.HasMore {
		body.ContinuationToken = new(s.Cursors.Seal([]byte(all[limit-1].Workspace), "workspaces"))
	}
	return answer{status: http.StatusOK, body: body}, nil
}

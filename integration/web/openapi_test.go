package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalweb"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// schema is as much of a JSON schema as the file uses.
type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Enum                 []any
	Format, Description  string
	Properties           map[string]schema
	Required             []string
	Items                *schema
	AdditionalProperties *bool
}

// openAPI is what the tests read of the file.
type openAPI struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

// check returns what is wrong with a value.
func (o *openAPI) check(s schema, v any, at string) (wrong []string) {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		named, ok := o.Components.Schemas[name]
		if !ok {
			return []string{at + ": there is no schema " + name}
		}
		return o.check(named, v, at)
	}
	kinds, ok := s.Type.([]any)
	if !ok {
		kinds = []any{s.Type}
	}
	if !slices.ContainsFunc(kinds, func(kind any) bool { return is(kind, v) }) {
		return []string{fmt.Sprintf("%s: %v is no %v", at, v, s.Type)}
	}
	if s.Enum != nil && !slices.Contains(s.Enum, v) {
		wrong = append(wrong, fmt.Sprintf("%s: %v is none of %v", at, v, s.Enum))
	}
	if text, ok := v.(string); ok && s.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			wrong = append(wrong, at+": "+err.Error())
		}
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			wrong = append(wrong, o.check(*s.Items, item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				wrong = append(wrong, at+": "+name+" is missing")
			}
		}
		for name, value := range v {
			of, ok := s.Properties[name]
			switch {
			case ok:
				wrong = append(wrong, o.check(of, value, at+"."+name)...)
			case s.AdditionalProperties != nil:
				wrong = append(wrong, at+": "+name+" is not in the file")
			}
		}
	}
	return wrong
}

func is(kind, v any) bool {
	switch v := v.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == float64(int64(v))
	case []any:
		return kind == "array"
	default:
		return kind == "object"
	}
}

// The file has each path of the API and no other, and each answer is as it says.
func TestAnswersAreAsTheOpenAPIFileSays(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.PostgreSQL)
	handler := signalweb.Handler(w.bus, signalweb.Token(token), signalweb.ShowFields())
	s := &page{httptest.NewServer(handler)}
	t.Cleanup(s.Close)
	file := get[openAPI](t, s, "/api/v1/openapi.json")

	w.dead(t, 3)
	w.StepDone.Create().SetNumber(1).ExecX(ctx(t))
	w.LineMoved.Create().SetLine("a").SetNumber(1).ExecX(ctx(t))
	w.fails(func(signal string, _ int) error {
		if signal == "MailWanted" {
			return errAway
		}
		return fmt.Errorf("not now")
	})
	for range 2 {
		_, err := w.bus.FlushOrdered(ctx(t), entsignal.Only("StepDone", "LineMoved"))
		require.Error(t, err)
	}
	w.MailWanted.Create().SetNumber(1).ExecX(ctx(t))
	w.fails(nil)
	w.StepDone.Create().SetNumber(2).ExecX(ctx(t))
	failed := get[[]entsignal.FailedSignal](t, s, "/api/v1/signals/JobQueued/failed")
	require.Len(t, failed, 3)

	asked := make(map[string]bool)
	ask := func(method, pattern, path, body, status string) {
		t.Helper()
		asked[strings.ToLower(method)+" "+pattern] = true
		resp, text := s.do(t, method, path, body, "Content-Type", "application/json", "Authorization", "Bearer "+token)
		assert.Equal(t, status, fmt.Sprint(resp.StatusCode), "%s %s: %s", method, path, text)
		says, ok := file.Paths[pattern][strings.ToLower(method)].Responses[status]
		require.True(t, ok, "%s %s: %s", method, pattern, status)
		var answer any
		require.NoError(t, json.Unmarshal([]byte(text), &answer))
		assert.Empty(t, file.check(says.Content["application/json"].Schema, answer, pattern))
	}
	ask("GET", "/api/v1/signals", "/api/v1/signals", "", "200")
	for _, info := range w.bus.Signals() {
		ask("GET", "/api/v1/signals/{name}", "/api/v1/signals/"+info.Name, "", "200")
	}
	ask("GET", "/api/v1/signals/{name}", "/api/v1/signals/X", "", "404")
	ask("GET", "/api/v1/signals/{name}/failed", "/api/v1/signals/StepDone/failed", "", "200")
	ask("GET", "/api/v1/signals/{name}/failed", "/api/v1/signals/StepDone/failed?limit=0", "", "400")
	ask("GET", "/api/v1/signals/{name}/messages/{id}", "/api/v1/signals/JobQueued/messages/"+failed[0].ID, "", "200")
	ask("GET", "/api/v1/signals/{name}/messages/{id}", "/api/v1/signals/JobQueued/messages/4711", "", "404")
	ask("POST", "/api/v1/signals/{name}/retry", "/api/v1/signals/JobQueued/retry", fmt.Sprintf(`{"ids":[%q]}`, failed[0].ID), "200")
	ask("POST", "/api/v1/signals/{name}/discard", "/api/v1/signals/JobQueued/discard", `{"all":true}`, "200")
	ask("POST", "/api/v1/signals/{name}/discard", "/api/v1/signals/NoteTaken/discard", `{"all":true}`, "409")
	ask("POST", "/api/v1/signals/{name}/flush", "/api/v1/signals/JobQueued/flush", "", "200")
	ask("POST", "/api/v1/signals/{name}/flush", "/api/v1/signals/StepDone/flush", "", "200")
	ask("GET", "/api/v1/relay", "/api/v1/relay", "", "200")
	ask("GET", "/api/v1/openapi.json", "/api/v1/openapi.json", "", "200")
	asked["get /api/v1/events"] = true // see TestEventsTellOfChanges

	var says []string
	for path, methods := range file.Paths {
		for method := range methods {
			says = append(says, method+" "+path)
		}
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(asked)), says)
	resp, _ := s.do(t, "GET", "/api/v1/signals/JobQueued/nothing", "")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)
}

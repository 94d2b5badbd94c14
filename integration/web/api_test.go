package web

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalweb"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// signal is what these tests read of a type.
type signal struct {
	Name, State, Why, Mode string
	Count, Waiting, Dead   int
	OldestID               string `json:"oldest_id"`
	Blocked                *struct{ ID string }
	Paused                 *struct{ Error string }
	Rates                  struct {
		SentLastHour   int `json:"sent_last_hour"`
		FailedLastHour int `json:"failed_last_hour"`
	}
	FailedByError []struct {
		Error   string
		Count   int
		ErrorID string `json:"error_id"`
	} `json:"failed_by_error"`
	Order *entsignal.OrderCheck
	First *entsignal.FailedSignal
}

func TestAPIShowsWhatIsPendingAndWhy(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db.Kind)
		s := serve(t, w)
		all := get[[]signal](t, s, "/api/v1/signals")
		require.Len(t, all, 6)
		for _, one := range all {
			assert.Equal(t, "idle", one.State, one.Name)
		}
		w.dead(t, 7)
		w.StepDone.Create().SetNumber(1).ExecX(ctx(t))
		w.fails(func(signal string, _ int) error {
			if signal == "MailWanted" {
				return errAway
			}
			return entsignal.Permanent(fmt.Errorf("poison at amqp://u:s3cret@mq"))
		})
		_, err := w.bus.FlushOrdered(ctx(t), entsignal.Only("StepDone"))
		require.Error(t, err)
		_, err = w.bus.FlushOrdered(ctx(t), entsignal.Only("StepDone"))
		require.ErrorAs(t, err, new(*entsignal.BlockedError))
		w.MailWanted.Create().SetNumber(1).ExecX(ctx(t))

		var jobs, steps, mails signal
		require.EventuallyWithT(t, func(c *assert.CollectT) {
			jobs, steps, mails = get[signal](t, s, "/api/v1/signals/JobQueued"), get[signal](t, s, "/api/v1/signals/StepDone"), get[signal](t, s, "/api/v1/signals/MailWanted")
			assert.Equal(c, 7, jobs.Dead)
			assert.Len(c, jobs.FailedByError, 3)
			assert.Equal(c, 1, steps.Dead)
			assert.Len(c, steps.FailedByError, 1)
			assert.Equal(c, 1, mails.Count)
		}, 30*time.Second, 20*time.Millisecond)
		assert.Equal(t, 7, jobs.Count)
		assert.Equal(t, "queue 1 is gone", jobs.FailedByError[0].Error)
		assert.Equal(t, 3, jobs.FailedByError[0].Count)
		assert.Equal(t, 7, jobs.Rates.FailedLastHour)
		assert.Equal(t, "flushmany", jobs.Mode)
		assert.Equal(t, "blocked", steps.State)
		require.NotNil(t, steps.Blocked)
		require.NotNil(t, steps.First)
		assert.Equal(t, steps.First.ID, steps.Blocked.ID)
		assert.Empty(t, steps.OldestID, "a dead one has no age")
		assert.True(t, steps.First.Dead)
		require.NotNil(t, steps.Order)
		assert.False(t, steps.Order.Strict)
		assert.Contains(t, steps.Order.Reason, "number")
		assert.Equal(t, "poison at amqp://***@mq", steps.FailedByError[0].Error)
		assert.Equal(t, "paused", mails.State)
		assert.Contains(t, mails.Paused.Error, "the broker is away")

		failed := get[[]entsignal.FailedSignal](t, s, "/api/v1/signals/JobQueued/failed?limit=4")
		require.Len(t, failed, 4)
		rest := get[[]entsignal.FailedSignal](t, s, "/api/v1/signals/JobQueued/failed?after="+failed[3].ID)
		assert.Len(t, rest, 3)
		some := get[[]entsignal.FailedSignal](t, s, "/api/v1/signals/JobQueued/failed?error_id="+jobs.FailedByError[0].ErrorID)
		assert.Len(t, some, 3)
		one := get[entsignal.FailedSignal](t, s, "/api/v1/signals/JobQueued/messages/"+failed[0].ID)
		assert.Equal(t, failed[0], one)
		_, body := s.do(t, "GET", "/api/v1/signals/JobQueued/messages/"+failed[0].ID, "")
		assert.NotContains(t, body, "fields")
	})
}

func TestActionsOfTheAPI(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db.Kind)
		s := serve(t, w, signalweb.Token(token))
		w.dead(t, 9)
		failed := get[[]entsignal.FailedSignal](t, s, "/api/v1/signals/JobQueued/failed")
		status, answer := s.post(t, "/api/v1/signals/JobQueued/retry", fmt.Sprintf(`{"ids":[%q,%q]}`, failed[0].ID, failed[1].ID))
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, map[string]any{"signal": "JobQueued", "count": 2.0}, answer)
		status, answer = s.post(t, "/api/v1/signals/JobQueued/flush", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, map[string]any{"sent": 2.0, "failed": []any{}, "interrupted": false}, answer)
		assert.Len(t, w.took("JobQueued"), 2)

		group := get[signal](t, s, "/api/v1/signals/JobQueued").FailedByError[0]
		status, answer = s.post(t, "/api/v1/signals/JobQueued/discard", fmt.Sprintf(`{"error_id":%q}`, group.ErrorID))
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, map[string]any{"signal": "JobQueued", "count": float64(group.Count)}, answer)
		rest := get[signal](t, s, "/api/v1/signals/JobQueued")
		assert.Equal(t, 7-group.Count, rest.Dead, "an action is seen at once")
		status, answer = s.post(t, "/api/v1/signals/JobQueued/retry", `{"all":true,"ids":[]}`)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, float64(7-group.Count), answer["count"])
		w.fails(func(string, int) error { return errAway })
		status, answer = s.post(t, "/api/v1/signals/JobQueued/flush", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, 0.0, answer["sent"])
		assert.Len(t, answer["failed"], 1)

		w.fails(nil)
		w.dead(t, 2)
		status, _ = s.post(t, "/api/v1/signals/JobQueued/discard", `{"all":true}`)
		assert.Equal(t, http.StatusOK, status)
		assert.Zero(t, get[signal](t, s, "/api/v1/signals/JobQueued").Dead)
	})
}

func TestBadRequestsAreToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	s := serve(t, w, signalweb.Token(token))
	for _, test := range []struct {
		path, body string
		status     int
		text       string
	}{
		{"/api/v1/signals/Nothing/retry", `{"all":true}`, 404, `unknown signal "Nothing"; known: BadgeGiven, JobQueued`},
		{"/api/v1/signals/JobQueued/retry", `{"ids":[]}`, 400, `expected one of {"ids":["17"]}`},
		{"/api/v1/signals/JobQueued/retry", `{"ids":["1"],"all":true}`, 400, "expected one of"},
		{"/api/v1/signals/JobQueued/retry", `{"ids":["x"]}`, 400, `"x" is not a valid id: expected a whole number`},
		{"/api/v1/signals/JobQueued/retry", `{"id":["1"]}`, 400, `unknown field "id"`},
		{"/api/v1/signals/JobQueued/retry", `{"all":true} {}`, 400, "more behind the object"},
		{"/api/v1/signals/JobQueued/retry", ``, 400, "EOF"},
		{"/api/v1/signals/JobQueued/retry", `{"error_id":"x"}`, 404, "no failed message has this error"},
		{"/api/v1/signals/NoteTaken/retry", `{"all":true}`, 409, "no mixin.Retry"},
		{"/api/v1/signals/Nothing/flush", ``, 404, "unknown signal"},
		{"/api/v1/signals/JobQueued/retry", `{"ids":["` + strings.Repeat("1", 1<<20) + `"]}`, 413, "too large"},
		{"/api/v1/nothing", ``, 405, ""},
	} {
		resp, body := s.do(t, "POST", test.path, test.body, "Content-Type", "application/json", "Authorization", "Bearer "+token)
		assert.Equal(t, test.status, resp.StatusCode, "%s %s: %s", test.path, test.body[:min(len(test.body), 50)], body)
		if test.text != "" {
			var answer struct{ Error string }
			require.NoError(t, json.Unmarshal([]byte(body), &answer), "%s", body)
			assert.Contains(t, answer.Error, test.text)
		}
	}
	resp, body := s.form(t, "/signals/JobQueued/retry", "id="+strings.Repeat("1", 1<<20))
	assert.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode, body)
	resp, body = s.form(t, "/signals/JobQueued/retry", "id=%zz")
	assert.Equal(t, http.StatusBadRequest, resp.StatusCode, body)
	resp, body = s.do(t, "POST", "/api/v1/signals/JobQueued/retry", `{"all":true}`, "Authorization", "Bearer "+token)
	assert.Equal(t, http.StatusUnsupportedMediaType, resp.StatusCode, body)
	for path, want := range map[string]string{
		"/api/v1/signals/Nothing":                     "404 unknown signal",
		"/api/v1/signals/JobQueued/failed?limit=x":    "400 limit: expected a whole number from 1 to 1000",
		"/api/v1/signals/JobQueued/failed?limit=1001": "400 limit: expected a whole number from 1 to 1000",
		"/api/v1/signals/JobQueued/failed?after=x":    "400 not a valid id",
		"/api/v1/signals/NoteTaken/failed":            "409 no mixin.Retry",
		"/api/v1/signals/JobQueued/messages/17":       "404 no such signal is pending",
		"/api/v1/nothing":                             "404 no such page",
		"/api/v1/signals/JobQueued/retry":             "405 POST requests only",
	} {
		status, text, _ := strings.Cut(want, " ")
		resp, body := s.do(t, "GET", path, "")
		assert.Equal(t, status, fmt.Sprint(resp.StatusCode), path)
		assert.Contains(t, body, text, path)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	w.dead(t, 1)
	const retry = "/api/v1/signals/JobQueued/retry"
	json := []string{"Content-Type", "application/json"}
	status := func(s *page, method, path string, headers ...string) int {
		resp, _ := s.do(t, method, path, `{"ids":["4711"]}`, append(json, headers...)...)
		return resp.StatusCode
	}
	bearer := func(s string) []string { return []string{"Authorization", "Bearer " + s} }

	byDefault := serve(t, w)
	assert.Equal(t, 200, status(byDefault, "GET", "/"))
	assert.Equal(t, 403, status(byDefault, "POST", retry))
	assert.Equal(t, 403, status(byDefault, "POST", "/signals/JobQueued/flush"))
	assert.Equal(t, 404, status(byDefault, "GET", "/sign-in"))

	byToken := serve(t, w, signalweb.Token(token))
	assert.Equal(t, 200, status(byToken, "GET", "/"))
	assert.Equal(t, 401, status(byToken, "POST", retry))
	for _, wrong := range []string{"", "x", token + "x", token[1:], strings.ToUpper(token)} {
		assert.Equal(t, 401, status(byToken, "POST", retry, bearer(wrong)...), "token %q", wrong)
	}
	assert.Equal(t, 200, status(byToken, "POST", retry, bearer(token)...))
	req := httptest.NewRequest("GET", "/", nil)
	req.SetBasicAuth("anybody", token)
	basic := []string{"Authorization", req.Header.Get("Authorization")}
	assert.Equal(t, 200, status(byToken, "POST", retry, basic...))
	resp, _ := byToken.do(t, "GET", "/sign-in", "")
	assert.Equal(t, 401, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("WWW-Authenticate"), "Basic realm=")
	resp, _ = byToken.do(t, "GET", "/sign-in", "", basic...)
	assert.Equal(t, 303, resp.StatusCode)

	noToken := serve(t, w, signalweb.Token(""))
	assert.Equal(t, 403, status(noToken, "POST", retry, bearer("")...), "an empty token is never right")

	own := serve(t, w, signalweb.Authorize(func(r *http.Request) signalweb.Access {
		switch r.Header.Get("X-User") {
		case "admin":
			return signalweb.Full
		case "reader":
			return signalweb.ReadOnly
		default:
			return signalweb.None
		}
	}))
	for user, want := range map[string][2]int{"admin": {200, 200}, "reader": {200, 403}, "nobody": {403, 403}} {
		assert.Equal(t, want[0], status(own, "GET", "/", "X-User", user), user)
		assert.Equal(t, want[0], status(own, "GET", "/static/page.css", "X-User", user), user)
		assert.Equal(t, want[1], status(own, "POST", retry, "X-User", user), user)
	}
	assert.Equal(t, 1, w.JobQueued.Query().CountX(ctx(t)))
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	w.dead(t, 1)
	s := serve(t, w, signalweb.Authorize(func(*http.Request) signalweb.Access { return signalweb.Full }))
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
	} {
		for _, path := range []string{"/api/v1/signals/JobQueued/discard", "/signals/JobQueued/discard"} {
			resp, body := s.do(t, "POST", path, `which=all&confirmed=yes&name=JobQueued`, append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
			assert.Equal(t, http.StatusForbidden, resp.StatusCode, "%v", headers)
			assert.Contains(t, body, "another site")
		}
	}
	assert.Equal(t, 1, w.JobQueued.Query().CountX(ctx(t)))
	resp, _ := s.do(t, "POST", "/signals/JobQueued/discard", `which=all&confirmed=yes&name=JobQueued`, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
	assert.Equal(t, http.StatusSeeOther, resp.StatusCode)
	assert.Zero(t, w.JobQueued.Query().CountX(ctx(t)))
}

func TestHeadersKeepThePageToItself(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	s := serve(t, w)
	for _, path := range []string{"/", "/signals/JobQueued", "/relay", "/api/v1/signals", "/static/page.js", "/nothing", "/api/v1/openapi.json"} {
		resp, _ := s.do(t, "GET", path, "")
		h := resp.Header
		assert.Equal(t, "no-store", h.Get("Cache-Control"), path)
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
		csp := h.Get("Content-Security-Policy")
		assert.True(t, strings.HasPrefix(csp, "default-src 'none'; "), path)
		assert.Contains(t, csp, "frame-ancestors 'none'")
		assert.NotContains(t, csp, "unsafe")
		assert.NotContains(t, csp, "*")
		assert.NotContains(t, csp, "http")
	}
}

func TestFieldsAreShownOnlyOnDemand(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	job := w.JobQueued.Create().SetNumber(1).SetPayload("Ada\u202e <b>").SaveX(ctx(t))
	hidden, shown := serve(t, w), serve(t, w, signalweb.ShowFields())
	path := fmt.Sprintf("/signals/JobQueued/%d", job.ID)
	_, body := hidden.do(t, "GET", path, "")
	assert.NotContains(t, body, "Ada")
	assert.Contains(t, body, "--show-fields")
	_, body = shown.do(t, "GET", path, "")
	assert.Contains(t, body, "Ada")
	assert.NotContains(t, body, "<b>")
	assert.NotContains(t, body, "\u202e")
	assert.NotContains(t, body, "signal_attempts", "what the bus keeps is no field of the message")
	var m struct{ Fields map[string]any }
	_, body = shown.do(t, "GET", fmt.Sprintf("/api/v1/signals/JobQueued/messages/%d", job.ID), "")
	require.NoError(t, json.Unmarshal([]byte(body), &m))
	assert.Equal(t, map[string]any{"id": float64(job.ID), "number": 1.0, "payload": "Ada\u202e <b>"}, m.Fields)
}

func TestPasswordsInErrorsAreHidden(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	s := serve(t, w, signalweb.Token(token))
	w.queue(t, 1)
	w.fails(func(string, int) error {
		return entsignal.Permanent(errors.New("amqp://ada:hunter2@mq: no such vhost"))
	})
	_, err := w.bus.FlushMany(ctx(t), entsignal.Only("JobQueued"))
	require.Error(t, err)
	id := get[[]entsignal.FailedSignal](t, s, "/api/v1/signals/JobQueued/failed")[0].ID
	for _, path := range []string{"/", "/signals/JobQueued", "/signals/JobQueued/" + id, "/relay", "/api/v1/signals", "/api/v1/signals/JobQueued", "/api/v1/signals/JobQueued/failed"} {
		_, body := s.do(t, "GET", path, "")
		assert.NotContains(t, body, "hunter2", path)
	}
	for _, which := range []string{"all", "selected"} {
		resp, body := s.form(t, "/signals/JobQueued/discard", "which="+which+"&id="+id)
		assert.Equal(t, http.StatusOK, resp.StatusCode, body)
		assert.NotContains(t, body, "hunter2", which)
	}
}

func TestHeadOfEventsEnds(t *testing.T) {
	t.Parallel()
	s := serve(t, open(t, testdb.SQLite))
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	for range 2 { // the second waits for the connection of the first
		req, err := http.NewRequestWithContext(ctx(t), "HEAD", s.URL+"/api/v1/events", nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	}
}

// events opens the stream of events, and returns its lines.
func (s *page) events(t testing.TB) *bufio.Scanner {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx(t), "GET", s.URL+"/api/v1/events", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	assert.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return lines
}

// revocable lets everybody look, until it is revoked.
func revocable() (option signalweb.Option, revoke func()) {
	var revoked atomic.Bool
	return signalweb.Authorize(func(*http.Request) signalweb.Access {
		if revoked.Load() {
			return signalweb.None
		}
		return signalweb.ReadOnly
	}), func() { revoked.Store(true) }
}

func TestEventsTellOfChanges(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	s := serve(t, w)
	lines := s.events(t)
	next := func() (all []signal) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				require.NoError(t, json.Unmarshal([]byte(data), &all))
				return all
			}
		}
		require.NoError(t, lines.Err())
		return nil
	}
	jobs := func(all []signal) int {
		for _, one := range all {
			if one.Name == "JobQueued" {
				return one.Count
			}
		}
		return -1
	}
	assert.Zero(t, jobs(next()))
	w.queue(t, 3)
	for jobs(next()) != 3 {
	}
}

func TestStreamThatIsNoLongerPermittedEnds(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	readable, revoke := revocable()
	s := serve(t, w, readable)
	lines := s.events(t)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "data: ") {
	}
	require.Contains(t, lines.Text(), "JobQueued", "while it is permitted")
	revoke()
	w.queue(t, 3)
	for lines.Scan() {
		assert.Empty(t, lines.Text())
	}
	assert.NoError(t, lines.Err(), "it ends as a whole answer does")
}

func TestHandlerServesBelowAPrefix(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	w.dead(t, 1)
	mux := http.NewServeMux()
	mux.Handle("/ops/signals/", http.StripPrefix("/ops/signals", signalweb.Handler(w.bus, signalweb.Authorize(func(*http.Request) signalweb.Access { return signalweb.Full }))))
	s := &page{httptest.NewServer(mux)}
	t.Cleanup(s.Close)
	for path, root := range map[string]string{"/ops/signals/": "./", "/ops/signals/signals/JobQueued": "./../", "/ops/signals/relay": "./"} {
		resp, body := s.do(t, "GET", path, "")
		require.Equal(t, 200, resp.StatusCode, path)
		assert.Contains(t, body, `href="`+root+`static/page.css"`, path)
	}
	resp, _ := s.do(t, "POST", "/ops/signals/signals/JobQueued/retry", "which=all", "Content-Type", "application/x-www-form-urlencoded")
	to, err := resp.Location()
	require.NoError(t, err)
	assert.Equal(t, "/ops/signals/signals/JobQueued", to.Path)
}

// Ids of messages may be any text.
func TestIDsAreLinkedWhateverTheyAre(t *testing.T) {
	t.Parallel()
	w := open(t, testdb.SQLite)
	ids := []string{"a/b", "..", "a b?c#d%2f", "ünï\u202e", "failed", "x\ny\r\nz", `"<script>`, "%", "+", "&amp;"}
	for i, id := range ids {
		_, err := w.db.Open(t).ExecContext(ctx(t), "INSERT INTO badge_givens (id, number, signal_attempts, signal_failed_at, signal_error) VALUES (?, ?, 1, '2026-01-02 03:04:05+00:00', 'gone')", id, i)
		require.NoError(t, err)
	}
	s := serve(t, w, signalweb.Authorize(func(*http.Request) signalweb.Access { return signalweb.Full }))
	_, body := s.do(t, "GET", "/signals/BadgeGiven", "")
	assert.NotContains(t, body, "<script>")
	assert.NotContains(t, body, "\u202e")
	links := between(body[strings.Index(body, `<caption id="list">`):], `href="./..`, `"`)
	require.Len(t, links, len(ids))
	for _, link := range links {
		resp, body := s.do(t, "GET", link, "")
		require.Equal(t, 200, resp.StatusCode, "%s", link)
		form := url.Values{"id": between(body, `name="id" value="`, `"`)[:1]}
		resp, body = s.do(t, "POST", "/signals/BadgeGiven/retry", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		require.Equal(t, 303, resp.StatusCode, "%s: %s", link, body)
		assert.Contains(t, resp.Header.Get("Location"), "did=retry&n=1", "%s", link)
	}
	failed, err := w.bus.Failed(ctx(t))
	require.NoError(t, err)
	assert.Empty(t, failed)
}

// between returns what a page has between two texts, each time, without its escapes.
func between(body, before, after string) (all []string) {
	for {
		_, rest, ok := strings.Cut(body, before)
		if !ok {
			return all
		}
		var text string
		text, body, _ = strings.Cut(rest, after)
		all = append(all, html.UnescapeString(text))
	}
}

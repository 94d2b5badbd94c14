package tracing_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// received is a span as a backend gets it.
type received struct {
	*otlp.Span
	service string
}

func (r received) attribute(key string) string {
	for _, a := range r.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// ref names a span in links and parents.
func ref(traceID, spanID []byte) string { return fmt.Sprintf("%x-%x", traceID, spanID) }

func (r received) ref() string    { return ref(r.TraceId, r.SpanId) }
func (r received) parent() string { return ref(r.TraceId, r.ParentSpanId) }

func (r received) links() (all []string) {
	for _, l := range r.Links {
		all = append(all, ref(l.TraceId, l.SpanId))
	}
	return all
}

// backend receives spans by OTLP over HTTP.
type backend struct {
	url string
	mu  sync.Mutex
	all []received
	new chan struct{}
}

func newBackend(t *testing.T) *backend {
	b := &backend{new: make(chan struct{}, 1)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &request) != nil || r.URL.Path != "/v1/traces" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		b.add(&request)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *backend) add(request *collector.ExportTraceServiceRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				b.all = append(b.all, received{span, service})
			}
		}
	}
	select {
	case b.new <- struct{}{}:
	default:
	}
}

// await returns the span with that name of a service, when it arrives.
func (b *backend) await(t *testing.T, service, name string) received {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		b.mu.Lock()
		i := slices.IndexFunc(b.all, func(r received) bool { return r.service == service && r.Name == name })
		if i >= 0 {
			defer b.mu.Unlock()
			return b.all[i]
		}
		var names []string
		for _, r := range b.all {
			names = append(names, r.service+": "+r.Name)
		}
		b.mu.Unlock()
		select {
		case <-b.new:
		case <-limit:
			require.Failf(t, "no such span", "%s: %s; there are %q", service, name, names)
		}
	}
}

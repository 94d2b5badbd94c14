package rabbitmq

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func invalidMessages() map[string]Message {
	long := strings.Repeat("x", 256)
	loop := map[string]any{}
	loop["self"] = loop
	headers := func(v any) Message { return Message{Headers: map[string]any{"name": v}} }
	return map[string]Message{
		`Exchange: 256 bytes, at most 255 allowed`:       {Exchange: long},
		`RoutingKey: 256 bytes, at most 255 allowed`:     {RoutingKey: long},
		`MessageID: 256 bytes`:                           {MessageID: long},
		`ContentType: not valid UTF-8`:                   {ContentType: "\xff"},
		`ContentEncoding: contains a NUL byte`:           {ContentEncoding: "a\x00"},
		`Type: not valid UTF-8`:                          {Type: "\xff"},
		`AppID: 256 bytes`:                               {AppID: long},
		`CorrelationID: 256 bytes`:                       {CorrelationID: long},
		`ReplyTo: 256 bytes`:                             {ReplyTo: long},
		`Body: 1025 bytes, at most 1024 allowed`:         {Body: make([]byte, 1025)},
		`Expiration: -1ns is not between`:                {Expiration: -1},
		`Expiration: 1200h0m0.001s is not between 0 and`: {Expiration: 50*24*time.Hour + 1e6},
		`Timestamp: before 1970`:                         {Timestamp: time.Unix(-1, 0)},
		`Headers: "name": a header can't hold chan int`:  headers(make(chan int)),
		`Headers: "name": a header can't hold *int`:      headers(new(int)),
		`a header can't hold struct {}`:                  headers(struct{}{}),
		`"name": a number above the largest int64`:       headers(uint64(math.MaxUint64)),
		`"name": not valid UTF-8`:                        headers("\xff"),
		`"name": element 1: a header can't hold`:         headers([]any{1, complex(1, 1)}),
		`"name": "inner": not valid UTF-8`:               headers(map[string]string{"inner": "\xff"}),
		`"name": a time before 1970`:                     headers(time.Time{}),
		`nested more than 32 deep`:                       headers(loop),
		`"name": 8193 values, at most 8192 allowed`:      headers(make([]any, 8193)),
		`Headers: name "xxx`:                             {Headers: map[string]any{long: 1}},
		`Headers: name "\xff": not valid UTF-8`:          {Headers: map[string]any{"\xff": 1}},
		`Headers: 1033 bytes, at most 1024 allowed`:      {Headers: map[string]any{"n": map[string]string{"k": strings.Repeat("v", 1015)}}},
	}
}

func TestInvalidMessagesFailAloneAndPermanently(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	p := newPublisher(t, proxyURL, WithMaxBodySize(1024), WithMaxHeaderSize(1024))
	msgs, wants := []Message{to(queue, "good")}, []string{""}
	for want, msg := range invalidMessages() {
		msgs, wants = append(msgs, msg, to(queue, "good")), append(wants, want, "")
	}
	errs := failures(t, p.Publish(t.Context(), msgs...), len(msgs))
	for i, want := range wants {
		if want == "" {
			assert.NoError(t, errs[i])
			continue
		}
		require.Error(t, errs[i], want)
		assert.ErrorContains(t, errs[i], want)
		assert.True(t, entsignal.IsPermanent(errs[i]))
		assert.Less(t, len(errs[i].Error()), 250)
	}
	assert.Len(t, a.take(queue), len(msgs)/2+1)
	assert.EqualValues(t, 1, proxy.Accepted(), "the connection must survive")
}

// amqp091-go ends a connection on which it reads such headers: the broker returns them to
// the publisher, or delivers them.
func TestMessageWithMoreValuesThanAClientReadsFailsAlone(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	proxy, proxyURL := newProxy(t)
	p := newPublisher(t, proxyURL)
	long := map[string]any{"list": make([]any, 8193)}
	many := make(map[string]any)
	for i := range 8193 {
		many[fmt.Sprint(i)] = true
	}
	errs := failures(t, p.Publish(t.Context(),
		to(queue, "good"),
		Message{RoutingKey: unique("nowhere"), Headers: long},
		Message{RoutingKey: queue, Headers: many},
	), 3)
	assert.NoError(t, errs[0])
	assert.True(t, entsignal.IsPermanent(errs[1]), "%v", errs[1])
	assert.True(t, entsignal.IsPermanent(errs[2]), "%v", errs[2])
	assert.Equal(t, []string{"good"}, a.takeIDs(queue))
	assert.EqualValues(t, 1, proxy.Accepted(), "the connection must survive")
}

func TestInvalidMessagesNeedNoBroker(t *testing.T) {
	t.Parallel()
	p := newPublisher(t, "amqp://127.0.0.1:1")
	errs := failures(t, p.Publish(t.Context(), Message{RoutingKey: "\xff"}), 1)
	assert.ErrorContains(t, errs[0], "message 1 without an id: RoutingKey")
	assert.True(t, entsignal.IsPermanent(errs[0]))
}

func TestLongestValidStringsAndHeadersAreAccepted(t *testing.T) {
	t.Parallel()
	a := newAdmin(t)
	queue := a.queue(nil)
	p := newPublisher(t, brokerURL(t), WithMaxHeaderSize(1<<20))
	s := strings.Repeat("x", 255)
	frame := 131072 - shortBytes
	msg := Message{RoutingKey: queue, MessageID: s, ContentType: s, ContentEncoding: s, Type: s, AppID: s,
		CorrelationID: s, ReplyTo: s, Priority: 9, Expiration: 49 * 24 * time.Hour, Timestamp: time.Unix(1, 0)}
	msg.Headers = map[string]any{"h": strings.Repeat("v", frame-11)}
	tooBig := msg
	tooBig.Headers = map[string]any{"h": strings.Repeat("v", frame-10)}

	most := to(queue, "most")
	most.Headers = map[string]any{"list": make([]any, maxElements)}
	deepest := to(queue, "deepest")
	var within any = "x"
	for range maxDepth - 1 {
		within = map[string]any{"k": within}
	}
	deepest.Headers = map[string]any{"n": within}

	errs := failures(t, p.Publish(t.Context(), msg, tooBig, to(queue, "good"), most, deepest), 5)
	assert.NoError(t, errs[0])
	assert.NoError(t, errs[3])
	assert.NoError(t, errs[4])
	assert.ErrorContains(t, errs[1], fmt.Sprintf("Headers: %d bytes, at most %d allowed", frame+1, frame))
	assert.True(t, entsignal.IsPermanent(errs[1]))
	assert.NoError(t, errs[2])
	assert.Len(t, a.take(queue), 4)
}

func TestHeaderNumbersKeepTheirValue(t *testing.T) {
	t.Parallel()
	for in, want := range map[any]any{
		1: int32(1), math.MaxInt32: int32(math.MaxInt32), int64(math.MaxInt32 + 1): int64(math.MaxInt32 + 1), int64(math.MinInt64): int64(math.MinInt64),
		uint(5): int32(5), uint64(1 << 40): int64(1 << 40), int8(-1): int8(-1), uint16(9): uint16(9), int64(1): int64(1),
		float32(1.5): float32(1.5), amqp.Decimal{Scale: 1, Value: 2}: amqp.Decimal{Scale: 1, Value: 2},
	} {
		got, _, err := convertValue(in, 0)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func FuzzQuoteCutsAndNeverBreaksALine(f *testing.F) {
	f.Add("a\nb", 2)
	f.Add(strings.Repeat("é", 300), 199)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(1, min(limit, 1000))
		q := quote(s, limit)
		assert.NotContains(t, q, "\n")
		assert.LessOrEqual(t, len(q), 4*limit+8)
		assert.True(t, bytes.HasPrefix([]byte(q), []byte(`"`)))
	})
}

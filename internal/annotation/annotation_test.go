package annotation_test

import (
	"encoding/json"
	"testing"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/entc/load"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	entmixin "entgo.io/ent/schema/mixin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/annotation"
	"github.com/entsignal/signalbus/mixin"
)

// merge merges annotations in the way of ent, first to last.
func merge(t *testing.T, annotations ...schema.Annotation) annotation.Signal {
	t.Helper()
	merged := annotations[0].(schema.Merger)
	for _, a := range annotations[1:] {
		merged = merged.Merge(a).(schema.Merger)
	}
	require.IsType(t, annotation.Signal{}, merged)
	return merged.(annotation.Signal)
}

func TestLaterAnnotationWins(t *testing.T) {
	t.Parallel()
	no, yes, five, six, b := false, true, 5, 6, "b"
	by := func(terms ...string) *[]string { return &terms }
	for name, c := range map[string]struct {
		annotations []schema.Annotation
		want        annotation.Signal
	}{
		"what only one sets stays": {
			[]schema.Annotation{entsignal.BurstCount(5), entsignal.AutoFlush(false), entsignal.OrderBy("a")},
			annotation.Signal{AutoFlush: &no, BurstCount: &five, OrderBy: by("a")},
		},
		"true over false": {
			[]schema.Annotation{entsignal.AutoFlush(false), entsignal.AutoFlush(true)},
			annotation.Signal{AutoFlush: &yes},
		},
		"false over true": {
			[]schema.Annotation{entsignal.AutoFlush(true), entsignal.AutoFlush(false)},
			annotation.Signal{AutoFlush: &no},
		},
		"burst count": {
			[]schema.Annotation{entsignal.BurstCount(5), entsignal.BurstCount(6)},
			annotation.Signal{BurstCount: &six},
		},
		"order as a whole": {
			[]schema.Annotation{entsignal.OrderBy("a", "b"), entsignal.OrderBy(entsignal.Desc("c"))},
			annotation.Signal{OrderBy: by("-c")},
		},
		"order key": {
			[]schema.Annotation{entsignal.OrderKey("a"), entsignal.LockOrderKey(), entsignal.OrderKey("b")},
			annotation.Signal{OrderKey: &b, LockOrderKey: true},
		},
		"order index": {
			[]schema.Annotation{entsignal.OrderIndex(true), entsignal.OrderKey("b"), entsignal.OrderIndex(false)},
			annotation.Signal{OrderKey: &b, OrderIndex: &no},
		},
		"a signal stays one": {
			[]schema.Annotation{annotation.Signal{Signal: true}, annotation.Signal{}},
			annotation.Signal{Signal: true},
		},
		"becomes a signal": {
			[]schema.Annotation{entsignal.BurstCount(5), annotation.Signal{Signal: true}},
			annotation.Signal{Signal: true, BurstCount: &five},
		},
		"keeps account of failures": {
			[]schema.Annotation{
				annotation.Signal{Signal: true},
				annotation.Signal{Retry: &annotation.Retry{MaxAttempts: 3}},
				annotation.Signal{Retry: &annotation.Retry{MaxAttempts: 5}},
			},
			annotation.Signal{Signal: true, Retry: &annotation.Retry{MaxAttempts: 5}},
		},
		"pointer": {
			[]schema.Annotation{entsignal.BurstCount(5), &annotation.Signal{BurstCount: &six}},
			annotation.Signal{BurstCount: &six},
		},
		"nil pointer": {
			[]schema.Annotation{entsignal.BurstCount(5), (*annotation.Signal)(nil)},
			annotation.Signal{BurstCount: &five},
		},
		"of another kind": {
			[]schema.Annotation{entsignal.BurstCount(5), field.ID("a", "b")},
			annotation.Signal{BurstCount: &five},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, merge(t, c.annotations...))
		})
	}
}

func TestMergeLeavesItsPartsAsTheyWere(t *testing.T) {
	t.Parallel()
	shared := entsignal.BurstCount(5).(annotation.Signal)
	merged := shared.Merge(entsignal.AutoFlush(false)).(annotation.Signal)
	assert.Nil(t, shared.AutoFlush)
	assert.NotNil(t, merged.AutoFlush)
}

func TestAnnotationSurvivesJSON(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]annotation.Signal{
		"empty":                {},
		"signal":               {Signal: true},
		"autoflush off":        entsignal.AutoFlush(false).(annotation.Signal),
		"autoflush on":         entsignal.AutoFlush(true).(annotation.Signal),
		"burst count":          entsignal.BurstCount(500).(annotation.Signal),
		"burst count 0":        entsignal.BurstCount(0).(annotation.Signal),
		"order":                entsignal.OrderBy("a", entsignal.Asc("b"), entsignal.Desc("c")).(annotation.Signal),
		"order without a term": entsignal.OrderBy().(annotation.Signal),
		"order key":            entsignal.OrderKey("a").(annotation.Signal),
		"order key, empty":     entsignal.OrderKey("").(annotation.Signal),
		"lock":                 entsignal.LockOrderKey().(annotation.Signal),
		"no order index":       entsignal.OrderIndex(false).(annotation.Signal),
		"retry":                {Retry: &annotation.Retry{MaxAttempts: 3, MinBackoff: time.Millisecond, MaxBackoff: 1000 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(a)
			require.NoError(t, err)
			// ent's generator holds annotations as maps.
			var raw map[string]any
			require.NoError(t, json.Unmarshal(data, &raw))
			got, err := annotation.Decode(raw)
			require.NoError(t, err)
			assert.Equal(t, a.Signal, got.Signal)
			assert.Equal(t, a.AutoFlush, got.AutoFlush)
			assert.Equal(t, a.BurstCount, got.BurstCount)
			assert.Equal(t, a.OrderKey, got.OrderKey)
			assert.Equal(t, a.LockOrderKey, got.LockOrderKey)
			assert.Equal(t, a.OrderIndex, got.OrderIndex)
			assert.Equal(t, a.Retry, got.Retry)
			if assert.Equal(t, a.OrderBy == nil, got.OrderBy == nil, "OrderBy is set") && a.OrderBy != nil {
				assert.ElementsMatch(t, *a.OrderBy, *got.OrderBy)
			}
		})
	}
}

func TestDecodeRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  any
		want string
	}{
		"unknown field": {map[string]any{"signal": true, "order": []string{"a"}}, `entsignal: annotation EntSignal: json: unknown field "order"`},
		"wrong type":    {map[string]any{"burst_count": "many"}, "entsignal: annotation EntSignal: json: cannot unmarshal string"},
		"no object":     {[]int{1}, "entsignal: annotation EntSignal: json: cannot unmarshal array"},
		"no JSON":       {func() {}, "entsignal: annotation EntSignal: json: unsupported type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := annotation.Decode(c.raw)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestOrderTermKnowsItsFieldAndDirection(t *testing.T) {
	t.Parallel()
	for term, want := range map[entsignal.OrderTerm]bool{
		"number": false, "-number": true, entsignal.Asc("number"): false, entsignal.Desc("number"): true,
	} {
		assert.Equal(t, "number", term.Field())
		assert.Equal(t, want, term.Descending(), term)
	}
}

// tuned is a mixin of a project, for signals with much in common.
type tuned struct{ entmixin.Schema }

func (tuned) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(100), entsignal.AutoFlush(true), entsignal.OrderBy("number")}
}

type plainSignal struct{ ent.Schema }

func (plainSignal) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

type tunedSignal struct{ ent.Schema }

func (tunedSignal) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, tuned{}} }

func (tunedSignal) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false)}
}

type retunedSignal struct{ ent.Schema }

func (retunedSignal) Mixin() []ent.Mixin { return []ent.Mixin{tuned{}, mixin.Signal{}} }

func (retunedSignal) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(7), entsignal.OrderBy(entsignal.Desc("number"))}
}

func TestSchemaAnnotationsWinOverThoseOfItsMixins(t *testing.T) {
	t.Parallel()
	no, yes, hundred, seven := false, true, 100, 7
	for name, c := range map[string]struct {
		schema ent.Interface
		want   annotation.Signal
	}{
		"mixin.Signal alone": {plainSignal{}, annotation.Signal{Signal: true}},
		"one thing overridden": {tunedSignal{}, annotation.Signal{
			Signal: true, BurstCount: &hundred, AutoFlush: &no, OrderBy: &[]string{"number"},
		}},
		"mixins in the other order": {retunedSignal{}, annotation.Signal{
			Signal: true, BurstCount: &seven, AutoFlush: &yes, OrderBy: &[]string{"-number"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := load.MarshalSchema(c.schema)
			require.NoError(t, err)
			loaded, err := load.UnmarshalSchema(data)
			require.NoError(t, err)
			got, err := annotation.Decode(loaded.Annotations[annotation.Name])
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
			assert.Empty(t, loaded.Fields, "a signal's mixin adds no field")
			assert.Empty(t, loaded.Hooks)
			assert.Empty(t, loaded.Indexes)
		})
	}
}

type inbox struct{ ent.Schema }

func (inbox) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{Retention: time.Hour}} }

func TestInboxHasItsFieldsAndIndexes(t *testing.T) {
	t.Parallel()
	data, err := load.MarshalSchema(inbox{})
	require.NoError(t, err)
	loaded, err := load.UnmarshalSchema(data)
	require.NoError(t, err)
	got, err := annotation.DecodeInbox(loaded.Annotations[annotation.InboxName])
	require.NoError(t, err)
	assert.Equal(t, annotation.Inbox{Retention: time.Hour}, got)
	var fields []string
	for _, f := range loaded.Fields {
		fields = append(fields, f.Name)
	}
	assert.Equal(t, []string{"source", "message_id", "received_at"}, fields)
	assert.Len(t, loaded.Indexes, 2)
	assert.Empty(t, loaded.Hooks)

	later := annotation.Inbox{Retention: time.Minute}
	for other, want := range map[schema.Annotation]annotation.Inbox{
		later: later, &later: later, (*annotation.Inbox)(nil): got, annotation.Signal{}: got,
	} {
		assert.Equal(t, want, got.Merge(other))
	}
	for _, bad := range []any{map[string]any{"newer": 1}, func() {}} {
		_, err := annotation.DecodeInbox(bad)
		assert.ErrorContains(t, err, "entsignal: annotation EntSignalInbox: json: ")
	}
}

// What is accepted means the same when it is written and read again, as entc
// does between loading a schema and generating.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"signal":true}`, `{"auto_flush":false,"burst_count":500,"order_by":["a","-b"]}`, `{"order_by":[]}`, `{"order_by":null}`,
		`{"burst_count":1.5}`, `{"burst_count":1e300}`, `{"burst_count":-0}`, `{"order":["a"]}`, `[1]`, `null`, `"x"`, `{"SIGNAL":true}`,
		`{"order_by":["-","--","\u0000","\ud800"]}`, `{"signal":true,"signal":false}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var raw any
		if json.Unmarshal(data, &raw) != nil {
			return
		}
		a, err := annotation.Decode(raw)
		if err != nil {
			require.Regexp(t, "^entsignal: annotation EntSignal: ", err.Error())
			return
		}
		written, err := json.Marshal(a)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(written, &raw))
		again, err := annotation.Decode(raw)
		require.NoError(t, err)
		require.Equal(t, a, again)
		if a.OrderBy != nil {
			for _, term := range *a.OrderBy {
				rebuilt, desc := annotation.ParseTerm(term)
				if desc {
					rebuilt = annotation.Descending(rebuilt)
				}
				require.Equal(t, term, rebuilt)
			}
		}
	})
}

package signalweb

import (
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/secret"
)

// relayState is what the relay of this process does.
type relayState struct {
	Running  bool        `json:"running"`
	Loops    []loopState `json:"loops"`
	Sent     int64       `json:"sent"`
	Failed   int64       `json:"failed"` // passes
	WakeUp   wakeUpState `json:"wake_up"`
	Since    time.Time   `json:"since"` // when the page began to watch
	Versions []versionOf `json:"versions"`
}

// loopState is the loop of one type.
type loopState struct {
	entsignal.LoopState
	Mode  string `json:"mode"`
	Error string `json:"error,omitempty"`
}

type wakeUpState struct {
	entsignal.WakeUpState
	Error string `json:"error,omitempty"`
}

// versionOf is the version of something that the program is made of.
type versionOf struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

func (s *server) relay() relayState {
	state := s.bus.RunState()
	r := relayState{Running: len(state.Loops) > 0, Loops: []loopState{}, Sent: state.Sent, Failed: state.Failed,
		WakeUp: wakeUpState{WakeUpState: state.WakeUp}, Since: s.since, Versions: versions()}
	if err := state.WakeUp.Err; err != nil {
		r.WakeUp.Error = cut(secret.Redact(err.Error()), maxText)
	}
	for _, l := range state.Loops {
		one := loopState{LoopState: l, Mode: l.Mode.String()}
		if l.Err != nil {
			one.Error = errorText(l.Err)
		}
		r.Loops = append(r.Loops, one)
	}
	return r
}

// versions returns what is known of the program: itself, the library, ent and Go.
func versions() []versionOf {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return []versionOf{{"go", runtime.Version()}}
	}
	all := []versionOf{{info.Main.Path, orUnknown(info.Main.Version)}}
	for _, dep := range info.Deps {
		if slices.Contains([]string{"github.com/entsignal/signalbus", "entgo.io/ent"}, dep.Path) {
			all = append(all, versionOf{dep.Path, orUnknown(dep.Version)})
		}
	}
	return append(all, versionOf{"go", info.GoVersion})
}

func orUnknown(version string) string {
	if version == "" || version == "(devel)" {
		return "development"
	}
	return version
}

package pair

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestJudgeSeesWhatIsWrong(t *testing.T) {
	sent := func(id int, state string) transfer {
		return transfer{transferKey{"north", id}, 1, 2, 10, "south", state}
	}
	at := func(bank string, id, account, cents int) entry {
		return entry{transferKey{"north", id}, bank, account, cents}
	}
	balances := func(north, south int) map[string]map[int]int {
		return map[string]map[int]int{"north": {1: begin + north}, "south": {2: begin + south}}
	}
	paid, booked, back := at("north", 1, 1, -10), at("south", 1, 2, 10), at("north", 1, 1, 10)
	for name, c := range map[string]struct {
		books
		want Verdict
	}{
		"booked":       {books{balances(-10, 10), []transfer{sent(1, "booked")}, []entry{paid, booked}}, Verdict{Transfers: 1, Booked: 1}},
		"returned":     {books{balances(0, 0), []transfer{sent(1, "returned")}, []entry{paid, back}}, Verdict{Transfers: 1, Returned: 1}},
		"twice":        {books{balances(-10, 20), []transfer{sent(1, "booked")}, []entry{paid, booked, booked}}, Verdict{Transfers: 1, Booked: 1, Twice: 1, Sum: 10}},
		"both":         {books{balances(0, 10), []transfer{sent(1, "booked")}, []entry{paid, booked, back}}, Verdict{Transfers: 1, Booked: 1, Twice: 1, Sum: 10}},
		"lost":         {books{balances(-10, 0), []transfer{sent(1, "sent")}, []entry{paid}}, Verdict{Transfers: 1, Lost: 1, Sum: -10}},
		"answer lost":  {books{balances(-10, 10), []transfer{sent(1, "sent")}, []entry{paid, booked}}, Verdict{Transfers: 1, Lost: 1, Twice: 1}},
		"never booked": {books{balances(-10, 0), []transfer{sent(1, "booked")}, []entry{paid}}, Verdict{Transfers: 1, Booked: 1, Lost: 1, Sum: -10}},
		"no entry":     {books{balances(-10, 10), nil, nil}, Verdict{Wrong: 20}},
	} {
		v := c.judge()
		assert.Equal(t, c.want, v, name)
		assert.Equal(t, c.want.Lost+c.want.Twice+c.want.Wrong == 0, len(v.Violations()) == 0, name)
	}
}

package fields

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// longestName is how many bytes the path of a field of the contract never has.
const longestName = 300

// rowsOf finds the numbers of the rows of every list that a form has, in order.
func rowsOf(v url.Values) map[string][]int {
	lists := map[string][]int{}
	for name := range v {
		if len(name) > longestName {
			continue
		}
		for at := 0; ; {
			open := strings.IndexByte(name[at:], '[')
			if open < 0 {
				break
			}
			open += at
			end := strings.IndexByte(name[open:], ']')
			if end < 0 {
				break
			}
			at = open + end
			i, err := strconv.Atoi(name[open+1 : at])
			if err != nil || i < 0 || i >= mostRows {
				break
			}
			if list := name[:open]; !slices.Contains(lists[list], i) {
				lists[list] = append(lists[list], i)
			}
		}
	}
	for _, rows := range lists {
		slices.Sort(rows)
	}
	return lists
}

// Move does what the button of a list asks: "add contacts", "drop contacts[1]", "up contacts[1]", "down contacts[0]". The rows are
// numbered anew. It returns the row that a person goes on with; false when nothing was asked that can be done.
func Move(v url.Values, what string) (string, bool) {
	verb, path, found := strings.Cut(what, " ")
	if !found {
		return "", false
	}
	if verb == "add" {
		order := rowsOf(v)[path]
		if len(order) >= mostRows {
			return "", false
		}
		renumber(v, path, order)
		row := fmt.Sprintf("%s[%d]", path, len(order))
		v.Set(row, rowMark)
		return row, true
	}
	open := strings.LastIndexByte(path, '[')
	if open < 0 || !strings.HasSuffix(path, "]") {
		return "", false
	}
	list := path[:open]
	number, err := strconv.Atoi(path[open+1 : len(path)-1])
	order := rowsOf(v)[list]
	at := slices.Index(order, number)
	if err != nil || at < 0 {
		return "", false
	}
	to := at
	switch {
	case verb == "drop":
		order = slices.Delete(order, at, at+1)
		to = max(at-1, 0)
	case verb == "up" && at > 0:
		to = at - 1
		order[at], order[to] = order[to], order[at]
	case verb == "down" && at < len(order)-1:
		to = at + 1
		order[at], order[to] = order[to], order[at]
	}
	renumber(v, list, order)
	if len(order) == 0 {
		return list, true
	}
	return fmt.Sprintf("%s[%d]", list, to), true
}

// renumber puts the rows of a list into an order; those that are not in it go.
func renumber(v url.Values, list string, order []int) {
	moved := url.Values{}
	for name, values := range v {
		rest, inside := strings.CutPrefix(name, list+"[")
		if !inside {
			continue
		}
		delete(v, name)
		number, tail, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(number); err == nil && slices.Contains(order, i) {
			moved[fmt.Sprintf("%s[%d]%s", list, slices.Index(order, i), tail)] = values
		}
	}
	for name, values := range moved {
		v[name] = values
	}
}

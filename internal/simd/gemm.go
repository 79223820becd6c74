package simd

import (
	"fmt"
	"runtime"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// The matrix product is cut as in Goto and van de Geijn, "Anatomy of
// high-performance matrix multiplication", ACM TOMS 34 (2008): a panel of op(B),
// maxK×nr, stays in the first cache while the rows of op(A), maxRows×maxK in the
// second cache, pass by in register tiles of mr×nr.
const (
	mr      = 4    // rows of a register tile
	nr      = 12   // columns of a register tile
	maxK    = 256  // 24 KB of op(B) and 8 KB of op(A)
	maxRows = 96   // 192 KB of op(A)
	maxCols = 4080 // columns of op(B) that Gemm packs at a time: 8 MB; a multiple of nr
)

// Gemm computes C = α op(A) op(B) + β C for row-major float64 matrices, where
// op(A) is m×k, op(B) is k×n, and op transposes if asked to. β = 0 overwrites C
// without reading it. C must not overlap A or B.
//
// Row i of C depends on row i of op(A) alone, bit for bit: not on m, nor on i,
// nor on the number of workers. Gemm and [GemmPacked] give the same bits.
func Gemm(transA, transB bool, m, n, k int, alpha float64, a []float64, lda int, b []float64, ldb int, beta float64, c []float64, ldc int) {
	checkMatrix("op(A)", transA, m, k, a, lda)
	checkMatrix("op(B)", transB, k, n, b, ldb)
	checkMatrix("C", false, m, n, c, ldc)
	w := products.Get()
	defer w.release()
	w.product = product{
		a: operand{a, lda, transA}, b: operand{b, ldb, !transB}, c: c, ldc: ldc,
		m: m, n: n, k: k, kc: blockK(k), alpha: alpha, beta: beta,
	}
	if m <= maxRows {
		w.run() // every panel of op(B) serves one block of rows: packed where it is used
		return
	}
	whole := w.product
	for j := 0; j < n; j += maxCols {
		for p := 0; p < max(k, 1); p += whole.kc {
			w.product = whole
			w.n, w.k = min(maxCols, n-j), min(whole.kc, k-p)
			w.a, w.b, w.c = whole.a.from(0, p), whole.b.from(j, p), c[j:]
			if p > 0 {
				w.beta = 1
			}
			w.pack(&w.room)
			w.run()
		}
	}
}

// Packed is an op(B) in the order in which the product reads it, for use with
// many A. It is read-only and safe for concurrent use.
type Packed struct {
	k, n   int
	panels []float64
}

// PackB packs op(B), which is k×n, B row-major. B is not retained.
func PackB(transB bool, k, n int, b []float64, ldb int) *Packed {
	checkMatrix("op(B)", transB, k, n, b, ldb)
	w := products.Get()
	defer w.release()
	w.product = product{b: operand{b, ldb, !transB}, n: n, k: k, kc: blockK(k)}
	packed := &Packed{k: k, n: n}
	w.pack(&packed.panels)
	return packed
}

// Dims returns the shape of op(B).
func (p *Packed) Dims() (k, n int) { return p.k, p.n }

// GemmPacked computes C = α op(A) op(B) + β C like [Gemm], with op(B) packed
// before.
func GemmPacked(transA bool, m int, alpha float64, a []float64, lda int, b *Packed, beta float64, c []float64, ldc int) {
	checkMatrix("op(A)", transA, m, b.k, a, lda)
	checkMatrix("C", false, m, b.n, c, ldc)
	w := products.Get()
	defer w.release()
	w.product = product{
		a: operand{a, lda, transA}, packed: b.panels, c: c, ldc: ldc,
		m: m, n: b.n, k: b.k, kc: blockK(b.k), alpha: alpha, beta: beta,
	}
	w.run()
}

// checkMatrix panics unless op(x) can be rows×cols.
func checkMatrix(name string, trans bool, rows, cols int, x []float64, ld int) {
	if trans {
		rows, cols = cols, rows
	}
	if rows < 0 || cols < 0 || ld < cols || rows > 0 && cols > 0 && (rows-1)*ld+cols > len(x) {
		panic(fmt.Sprintf("simd: %s needs %d rows of %d with leading dimension %d, got %d values", name, rows, cols, ld, len(x)))
	}
}

// blockK returns the length of the blocks that k is cut into. It is a function
// of k alone, for it sets the order of the sums.
func blockK(k int) int {
	blocks := max(1, (k+maxK-1)/maxK)
	return max(1, (k+blocks-1)/blocks)
}

// An operand is a matrix whose vectors, the rows of op(A) or the columns of
// op(B), run along p. across says that they lie across the rows of x.
type operand struct {
	x      []float64
	ld     int
	across bool
}

// from returns the operand without its first vectors and without the first p
// elements of each.
func (o operand) from(vector, p int) operand {
	if o.across {
		vector, p = p, vector
	}
	o.x = o.x[min(vector*o.ld+p, len(o.x)):]
	return o
}

// pack writes elements p < kc of the first count vectors as width values for
// each p, zeros after count.
func (o operand) pack(dst []float64, width, count, kc int) {
	dst = dst[:width*kc]
	if kc == 0 {
		return
	}
	if count < width {
		clear(dst)
	}
	switch {
	case !o.across:
		i := 0
		for ; i+4 <= count; i += 4 {
			packRows4(dst[i:], width, o.x[i*o.ld:], o.ld, kc)
		}
		for ; i < count; i++ {
			for p, v := range o.x[i*o.ld : i*o.ld+kc] {
				dst[p*width+i] = v
			}
		}
	case count == nr:
		for p := range kc {
			*(*[nr]float64)(dst[p*nr:]) = [nr]float64(o.x[p*o.ld:])
		}
	case count == mr && width == mr:
		for p := range kc {
			*(*[mr]float64)(dst[p*mr:]) = [mr]float64(o.x[p*o.ld:])
		}
	default:
		for p := range kc {
			copy(dst[p*width:p*width+count], o.x[p*o.ld:])
		}
	}
}

// A product is one C = α op(A) op(B) + β C.
type product struct {
	a, b        operand
	packed      []float64 // op(B), unless nil
	c           []float64
	ldc         int
	m, n, k, kc int
	alpha, beta float64
}

// A productWork is a product with what its workers need. It is reused with its
// room and its closures, so that a call allocates nothing.
type productWork struct {
	product
	rows     int       // of op(A) in a task
	cols     int       // panels of op(B) in a task
	colTasks int       // tasks that share their rows of op(A)
	room     []float64 // for op(B), packed
	doPack   func(lo, hi int)
	doTasks  func(lo, hi int)
}

var products = freelist.List[productWork]{New: func() *productWork {
	w := new(productWork)
	w.doPack, w.doTasks = w.packPanels, w.tasks
	return w
}}

// release lets go of the caller's matrices and makes the work free for reuse.
func (w *productWork) release() {
	w.product = product{}
	products.Put(w)
}

// scratch is the work space of one worker.
type scratch struct {
	a     [maxRows * maxK]float64
	panel [maxK * nr]float64
	tile  [mr * nr]float64
}

var scratches = freelist.List[scratch]{New: func() *scratch { return new(scratch) }}

// flopGrain is the work worth waking a worker for, about 10 µs.
const flopGrain = 1 << 19

// pack fills *room with op(B) and makes the product read it there: for each
// block of k, the panels of nr columns one after another.
func (w *productWork) pack(room *[]float64) {
	count := (w.n + nr - 1) / nr
	if need := count * nr * w.k; cap(*room) < need {
		*room = make([]float64, need)
	} else {
		*room = (*room)[:need]
	}
	w.packed = *room
	par.Rows(count, max(1, flopGrain/16/(nr*max(w.k, 1))), w.doPack)
}

// packPanels packs the panels from lo to hi.
func (w *productWork) packPanels(lo, hi int) {
	for p := 0; p < w.k; p += w.kc {
		kc := min(w.kc, w.k-p)
		for j := lo; j < hi; j++ {
			w.b.from(j*nr, p).pack(w.panel(p, kc, j), nr, min(nr, w.n-j*nr), kc)
		}
	}
}

// panel returns panel j of the packed block of op(B) that starts at row p.
func (w *productWork) panel(p, kc, j int) []float64 {
	count := (w.n + nr - 1) / nr
	return w.packed[(p*count+kc*j)*nr:][:kc*nr]
}

// run cuts C into tasks and does them.
func (w *productWork) run() {
	if w.m == 0 || w.n == 0 {
		return
	}
	panels := (w.n + nr - 1) / nr
	rowTasks := (w.m + maxRows - 1) / maxRows
	w.rows = ((w.m+rowTasks-1)/rowTasks + mr - 1) / mr * mr
	rowTasks = (w.m + w.rows - 1) / w.rows
	// Two tasks for each processor, and no more: every task packs its rows of
	// op(A) anew.
	flops := 2 * w.rows * w.n * w.k
	w.colTasks = min((2*runtime.GOMAXPROCS(0)+rowTasks-1)/rowTasks, 1+flops/flopGrain, panels)
	w.cols = (panels + w.colTasks - 1) / w.colTasks
	w.colTasks = (panels + w.cols - 1) / w.cols
	grain := max(1, flopGrain*w.colTasks/max(flops, 1))
	par.Rows(rowTasks*w.colTasks, grain, w.doTasks)
}

// tasks does the tasks from lo to hi, those with the same rows as one.
func (w *productWork) tasks(lo, hi int) {
	s := scratches.Get()
	defer scratches.Put(s)
	for t := lo; t < hi; {
		row := t / w.colTasks
		end := min(hi, (row+1)*w.colTasks)
		i, j := row*w.rows, t%w.colTasks*w.cols
		w.task(s, i, min(w.rows, w.m-i), j, min((end-row*w.colTasks)*w.cols, (w.n+nr-1)/nr))
		t = end
	}
}

// task computes rows i to i+m and the panels of columns from lo to hi.
func (w *productWork) task(s *scratch, i, m, lo, hi int) {
	beta := w.beta
	for p := 0; p < max(w.k, 1); p += w.kc {
		kc := min(w.kc, w.k-p)
		for r := 0; r < m; r += mr {
			w.a.from(i+r, p).pack(s.a[r*kc:], mr, min(mr, m-r), kc)
		}
		for j := lo; j < hi; j++ {
			cols := min(nr, w.n-j*nr)
			var panel []float64
			if w.packed != nil {
				panel = w.panel(p, kc, j)
			} else {
				panel = s.panel[:kc*nr]
				w.b.from(j*nr, p).pack(panel, nr, cols, kc)
			}
			c := w.c[i*w.ldc+j*nr:]
			tiles := 0
			if cols == nr {
				tiles = m / mr
				gemmTiles(tiles, kc, s.a[:], panel, c, w.ldc, w.alpha, beta)
			}
			for r := tiles * mr; r < m; r += mr {
				s.edge(kc, s.a[r*kc:], panel, c[r*w.ldc:], w.ldc, min(mr, m-r), cols, w.alpha, beta)
			}
		}
		beta = 1
	}
}

// edge computes a tile of rows×cols inside a full one, by the same kernel.
func (s *scratch) edge(kc int, a, b, c []float64, ldc, rows, cols int, alpha, beta float64) {
	if beta != 0 {
		for i := range rows {
			copy(s.tile[i*nr:i*nr+cols], c[i*ldc:])
		}
	}
	gemmTiles(1, kc, a, b, s.tile[:], nr, alpha, beta)
	for i := range rows {
		copy(c[i*ldc:i*ldc+cols], s.tile[i*nr:])
	}
}

import sys, sqlite3, time, json, resource, subprocess, uuid
sys.path.insert(0, "/work/main/tests")
from conftest import *
def test_scale(own_server, busybox_layout, name):
    bench = BatchBench(own_server, push(own_server, busybox_layout, name), name, vcpus=256)
    d = bench.define(["true"])
    bench.ended(bench.submit(d))
    own_server.stop()
    db = next(own_server.data_dir.rglob("*.db"))
    c = sqlite3.connect(db)
    row = list(c.execute("select seq,id,queue,status,created_at,name,definition,share,body,terms,state from batch_jobs").fetchone())
    rows = []
    n = 200000
    for i in range(n):
        u = str(uuid.UUID(int=i + 5))
        r = list(row); r[0] = row[0] + 1 + i; r[10] = row[10].replace(row[1], u); r[1] = u; r[8] = row[8].replace(row[1], u)
        rows.append(r)
    c.executemany("insert into batch_jobs values (?,?,?,?,?,?,?,?,?,?,?)", rows); c.commit(); c.close()
    own_server.start()
    rss = lambda: [l for l in open(f"/proc/{own_server.process.pid}/status") if l.startswith(("VmRSS", "VmHWM"))]
    before = rss(); t = time.time()
    done = own_server.barge("simulate", "--history", "--json", "--alone", timeout=280)
    print(time.time() - t, before, rss(), json.loads(done.stdout)["jobs"], done.stderr, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)

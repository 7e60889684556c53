BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE autotune_alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT autotune_alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "autotune_alembic_version" VALUES('0002');
CREATE TABLE autotune_confirmations (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	series INTEGER NOT NULL, 
	round INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	contender VARCHAR(64) NOT NULL, 
	trial INTEGER NOT NULL, 
	configuration JSON NOT NULL, 
	started_s DOUBLE NOT NULL, 
	ended_s DOUBLE NOT NULL, 
	failure VARCHAR(32), 
	score DOUBLE, 
	violations JSON NOT NULL, 
	result JSON NOT NULL, 
	CONSTRAINT pk_autotune_confirmations PRIMARY KEY (id), 
	CONSTRAINT uq_autotune_confirmations_study_id_series_round_position UNIQUE (study_id, series, round, position), 
	CONSTRAINT fk_autotune_confirmations_study_id_autotune_studies FOREIGN KEY(study_id) REFERENCES autotune_studies (id) ON DELETE CASCADE
);
INSERT INTO "autotune_confirmations" VALUES(1,1,1,1,0,'baseline',0,'{"instances": 1, "threads_per_instance": 0, "placement": "unpinned", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32", "model": "", "padding": "", "batching": "", "knobs": ""}',1.79608738972255706787e+09,1.79608739222510552409e+09,NULL,6.20932574885820400814e+01,'{}','{"schema": "autotune.measurement/3", "scenario": "offline", "blocks": [{"start_s": 15106.279925144001, "instances": [{"samples_per_request": 2, "starts_s": [15106.279936647, 15106.330146926, 15106.357922882], "ends_s": [15106.33014317, 15106.357916332, 15106.390214665], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.13322168700142356, "speed": 0.9874773981859165, "probe_s": 0.0012005856607317223, "steal": 0.0, "waited": 0.9077984857360424, "others_cpus": 1.6718951398705477, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9997546420404227, "memory_pressure": 0.0, "io_pressure": 0.0, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 1, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 12403", "pip 16510"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}, {"start_s": 15106.636546425001, "instances": [{"samples_per_request": 2, "starts_s": [15106.640072891, 15106.667904069, 15106.695675888, 15106.72343575], "ends_s": [15106.667899362, 15106.695667696, 15106.72342907, 15106.751185477], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.13752617099999043, "speed": 0.9990864813222436, "probe_s": 0.001187721215587494, "steal": 0.0, "waited": 0.8817809695947084, "others_cpus": 2.0307317361484185, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9994097777964573, "memory_pressure": 0.0, "io_pressure": 0.0011997716420807801, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 12403", "pip 16510"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}], "observations": [{"pid": 20969, "cpus": [0, 1], "threads": [{"name": "python", "cpus": [0, 1]}], "memory_policy": "default", "memory_nodes": [], "engine": "fake", "engine_version": "1", "precision": "fp32", "engine_threads": 1, "memory_bytes": 13593600, "peak_memory_bytes": 24301568, "load_s": 1.304244427001322, "warmup_s": 0.12378756500038435, "knobs": {"allocator": "glibc", "optimization": "all", "spinning": "on"}, "export": ""}], "memory_binding": "none", "wall_s": 2.4192254160006996, "measuring_s": 0.2249285729976691, "warmup_s": 0.12378756500038435, "dropped": [], "stopped": "planned", "rates": [], "generator": null, "cores": 2}');
INSERT INTO "autotune_confirmations" VALUES(2,1,1,1,1,'trial 1',1,'{"instances": 1, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "int8-dynamic", "model": "", "padding": "", "batching": "", "knobs": ""}',1.79608739231926512716e+09,1.79608739456619477276e+09,NULL,1.11851764895954303819e+02,'{}','{"schema": "autotune.measurement/3", "scenario": "offline", "blocks": [{"start_s": 15108.703063463001, "instances": [{"samples_per_request": 2, "starts_s": [15108.704070503, 15108.720116652, 15108.73903472, 15108.754004302, 15108.772089014, 15108.787081851], "ends_s": [15108.720110002, 15108.739024995, 15108.753988438, 15108.772080952, 15108.78707469, 15108.804080342], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.12383873100043274, "speed": 0.9714989146358003, "probe_s": 0.0012225656639387517, "steal": 0.0, "waited": 0.9316388030970181, "others_cpus": 0.8626933837411326, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9936067577977914, "memory_pressure": 0.0, "io_pressure": 0.04673820502872593, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 12403", "python 18190"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}, {"start_s": 15109.039589936001, "instances": [{"samples_per_request": 2, "starts_s": [15109.039600267, 15109.07208022, 15109.092112771, 15109.107062023, 15109.124089567, 15109.139033992], "ends_s": [15109.072075443, 15109.09210551, 15109.107054151, 15109.124081966, 15109.13902612, 15109.153972057], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.13718076899931475, "speed": 1.0384956118636737, "probe_s": 0.0011426492288624714, "steal": 0.0, "waited": 0.8998664619396484, "others_cpus": 1.0005216110146133, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9765873232646997, "memory_pressure": 0.0, "io_pressure": 0.033831272662161196, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 18190", "python 18471", "python 19724"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}], "observations": [{"pid": 20982, "cpus": [0], "threads": [{"name": "python", "cpus": [0]}], "memory_policy": "bind", "memory_nodes": [0], "engine": "fake", "engine_version": "1", "precision": "int8-dynamic", "engine_threads": 1, "memory_bytes": 13590528, "peak_memory_bytes": 24408064, "load_s": 1.1971283240000048, "warmup_s": 0.12285524199978681, "knobs": {"allocator": "glibc", "optimization": "all", "spinning": "on"}, "export": ""}], "memory_binding": "bind", "wall_s": 2.211792919999425, "measuring_s": 0.21539899999879708, "warmup_s": 0.12285524199978681, "dropped": [], "stopped": "planned", "rates": [], "generator": null, "cores": 1}');
INSERT INTO "autotune_confirmations" VALUES(3,1,1,2,0,'baseline',0,'{"instances": 1, "threads_per_instance": 0, "placement": "unpinned", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32", "model": "", "padding": "", "batching": "", "knobs": ""}',1796087394.65122,1.7960873968089470864e+09,NULL,6.85250833730595587667e+01,'{}','{"schema": "autotune.measurement/3", "scenario": "offline", "blocks": [{"start_s": 15110.906728412001, "instances": [{"samples_per_request": 2, "starts_s": [15110.908071941, 15110.935855398, 15110.963634819, 15110.991408561], "ends_s": [15110.935850861, 15110.96362861, 15110.991402272, 15111.019182464], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.13539955700071005, "speed": 0.9767190740798067, "probe_s": 0.0012160315561631455, "steal": 0.0, "waited": 0.9645156992951495, "others_cpus": 2.062095188371788, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9993828857148004, "memory_pressure": 0.0, "io_pressure": 0.0016395917750807257, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 1, "culprits": ["python 12400", "python 12403", "pip 16510"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}, {"start_s": 15111.270702900001, "instances": [{"samples_per_request": 2, "starts_s": [15111.272075491, 15111.300080386, 15111.332078985, 15111.359841], "ends_s": [15111.300075639, 15111.332071053, 15111.359833399, 15111.392080536], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.16406922900023346, "speed": 0.9973428333039657, "probe_s": 0.0011940668851073836, "steal": 0.0, "waited": 0.9426964657786201, "others_cpus": 1.6658072598554141, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9995110052010431, "memory_pressure": 0.0, "io_pressure": 0.0, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 12403", "pip 16510"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}], "observations": [{"pid": 21000, "cpus": [0, 1], "threads": [{"name": "python", "cpus": [0, 1]}], "memory_policy": "default", "memory_nodes": [], "engine": "fake", "engine_version": "1", "precision": "fp32", "engine_threads": 1, "memory_bytes": 13585408, "peak_memory_bytes": 24432640, "load_s": 1.074340711998957, "warmup_s": 0.11908315800064884, "knobs": {"allocator": "glibc", "optimization": "all", "spinning": "on"}, "export": ""}], "memory_binding": "none", "wall_s": 2.138829071998771, "measuring_s": 0.23383168799773557, "warmup_s": 0.11908315800064884, "dropped": [], "stopped": "planned", "rates": [], "generator": null, "cores": 2}');
INSERT INTO "autotune_confirmations" VALUES(4,1,1,2,1,'trial 1',1,'{"instances": 1, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "int8-dynamic", "model": "", "padding": "", "batching": "", "knobs": ""}',1.79608739688325548177e+09,1.7960873992184824944e+09,NULL,1.26328398776536431568e+02,'{}','{"schema": "autotune.measurement/3", "scenario": "offline", "blocks": [{"start_s": 15113.322855579001, "instances": [{"samples_per_request": 2, "starts_s": [15113.324082084, 15113.340083747, 15113.360157429, 15113.375119871, 15113.39008796, 15113.405100346, 15113.420123608], "ends_s": [15113.34007888, 15113.360147424, 15113.37511256, 15113.390080369, 15113.405089039, 15113.420113803, 15113.435064257], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.14385273499829054, "speed": 1.0366445388906977, "probe_s": 0.001145736239404166, "steal": 0.0, "waited": 0.9012869898134196, "others_cpus": 0.9660667487572441, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9993205899133888, "memory_pressure": 0.0, "io_pressure": 0.0013555529550521258, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 16652", "python 18190", "python 18573"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}, {"start_s": 15113.634458762, "instances": [{"samples_per_request": 2, "starts_s": [15113.636109786, 15113.651067811, 15113.666008741, 15113.684096508, 15113.699050687, 15113.714016073, 15113.728974739], "ends_s": [15113.651062193, 15113.666000919, 15113.684088876, 15113.699041173, 15113.714008472, 15113.728965825, 15113.743928467], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.13630829499925312, "speed": 1.0333274039148523, "probe_s": 0.0011483642121339383, "steal": 0.0, "waited": 0.8681676772277246, "others_cpus": 1.0196340949036116, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9993302315171066, "memory_pressure": 0.0, "io_pressure": 0.0, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 16652", "python 18190", "python 18573"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}], "observations": [{"pid": 21020, "cpus": [0], "threads": [{"name": "python", "cpus": [0]}], "memory_policy": "bind", "memory_nodes": [0], "engine": "fake", "engine_version": "1", "precision": "int8-dynamic", "engine_threads": 1, "memory_bytes": 13626368, "peak_memory_bytes": 24600576, "load_s": 1.3162087639993842, "warmup_s": 0.11849483500009228, "knobs": {"allocator": "glibc", "optimization": "all", "spinning": "on"}, "export": ""}], "memory_binding": "bind", "wall_s": 2.3082210359989404, "measuring_s": 0.22167838299901632, "warmup_s": 0.11849483500009228, "dropped": [], "stopped": "planned", "rates": [], "generator": null, "cores": 1}');
INSERT INTO "autotune_confirmations" VALUES(5,1,1,3,0,'trial 1',1,'{"instances": 1, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "int8-dynamic", "model": "", "padding": "", "batching": "", "knobs": ""}',1.79608739933121538167e+09,1.79608740166887950904e+09,NULL,1.26432323751124314975e+02,'{}','{"schema": "autotune.measurement/3", "scenario": "offline", "blocks": [{"start_s": 15115.729164183, "instances": [{"samples_per_request": 2, "starts_s": [15115.729167939, 15115.74409633, 15115.759058421, 15115.774006011, 15115.794339228, 15115.812112027, 15115.827077974], "ends_s": [15115.744092294, 15115.759052563, 15115.77399912, 15115.794330895, 15115.812102864, 15115.827071364, 15115.842022369], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.14975227499962784, "speed": 1.022279243251624, "probe_s": 0.0011597136617855293, "steal": 0.0, "waited": 0.9342513041869481, "others_cpus": 0.9348772831663767, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9994038487930679, "memory_pressure": 0.0, "io_pressure": 0.05759511833804483, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 16652", "python 18190"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}, {"start_s": 15116.051313156, "instances": [{"samples_per_request": 2, "starts_s": [15116.052088222, 15116.067050073, 15116.082006085, 15116.100141162, 15116.115109492, 15116.130076931, 15116.145038661], "ends_s": [15116.067045686, 15116.081997552, 15116.100129575, 15116.115102692, 15116.130066686, 15116.145030689, 15116.159996015], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.13938552900071954, "speed": 1.0597907734917422, "probe_s": 0.0011114224640279685, "steal": 0.0, "waited": 0.8385629700512001, "others_cpus": 0.9246378797238871, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9942639023768899, "memory_pressure": 0.0, "io_pressure": 0.0, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 16652", "python 18190"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}], "observations": [{"pid": 21063, "cpus": [0], "threads": [{"name": "python", "cpus": [0]}], "memory_policy": "bind", "memory_nodes": [0], "engine": "fake", "engine_version": "1", "precision": "int8-dynamic", "engine_threads": 1, "memory_bytes": 13607936, "peak_memory_bytes": 24416256, "load_s": 1.252358544999879, "warmup_s": 0.10663170100087882, "knobs": {"allocator": "glibc", "optimization": "all", "spinning": "on"}, "export": ""}], "memory_binding": "bind", "wall_s": 2.318598056001065, "measuring_s": 0.22154104499895766, "warmup_s": 0.10663170100087882, "dropped": [], "stopped": "planned", "rates": [], "generator": null, "cores": 1}');
INSERT INTO "autotune_confirmations" VALUES(6,1,1,3,1,'baseline',0,'{"instances": 1, "threads_per_instance": 0, "placement": "unpinned", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32", "model": "", "padding": "", "batching": "", "knobs": ""}',1.7960874017591621876e+09,1.79608740405332589144e+09,NULL,6.0607440184858610622e+01,'{}','{"schema": "autotune.measurement/3", "scenario": "offline", "blocks": [{"start_s": 15118.234797980002, "instances": [{"samples_per_request": 2, "starts_s": [15118.234809133, 15118.276172691, 15118.304332356, 15118.332122093], "ends_s": [15118.276167844, 15118.304323964, 15118.332109534, 15118.359937657], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.1640845210004045, "speed": 0.9967328320409355, "probe_s": 0.0011894372959814273, "steal": 0.0, "waited": 0.8617688786313322, "others_cpus": 1.8236985934090924, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9994727046775365, "memory_pressure": 0.0, "io_pressure": 0.025675791807214594, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 12403", "pip 16510"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}, {"start_s": 15118.523138221, "instances": [{"samples_per_request": 2, "starts_s": [15118.523164987, 15118.564105167, 15118.600112271], "ends_s": [15118.56410016, 15118.600103518, 15118.627875277], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.12763811600052577, "speed": 1.0297890000730998, "probe_s": 0.0011438025389130075, "steal": 0.0, "waited": 0.8970526541183862, "others_cpus": 2.0164048880129046, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9995995240051455, "memory_pressure": 0.0, "io_pressure": 0.038530810028211716, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 12403", "pip 16510"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}], "observations": [{"pid": 21082, "cpus": [0, 1], "threads": [{"name": "python", "cpus": [0, 1]}], "memory_policy": "default", "memory_nodes": [], "engine": "fake", "engine_version": "1", "precision": "fp32", "engine_threads": 1, "memory_bytes": 13612032, "peak_memory_bytes": 24346624, "load_s": 1.302313559999675, "warmup_s": 0.11531958600062353, "knobs": {"allocator": "glibc", "optimization": "all", "spinning": "on"}, "export": ""}], "memory_binding": "none", "wall_s": 2.2584224980000727, "measuring_s": 0.2298767329975817, "warmup_s": 0.11531958600062353, "dropped": [], "stopped": "planned", "rates": [], "generator": null, "cores": 2}');
CREATE TABLE autotune_plans (
	id VARCHAR(80) NOT NULL, 
	study_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	created_s DOUBLE NOT NULL, 
	objective VARCHAR(32) NOT NULL, 
	configuration JSON NOT NULL, 
	score DOUBLE NOT NULL, 
	gain DOUBLE, 
	document TEXT NOT NULL, 
	CONSTRAINT pk_autotune_plans PRIMARY KEY (id), 
	CONSTRAINT fk_autotune_plans_study_id_autotune_studies FOREIGN KEY(study_id) REFERENCES autotune_studies (id) ON DELETE CASCADE
);
INSERT INTO "autotune_plans" VALUES('kept-2c93e3',1,1,1.79608740424351406104e+09,'throughput','{"instances": 1, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "int8-dynamic", "model": "", "padding": "", "batching": "", "knobs": ""}',1.21339066904500427314e+02,1.90512833838267514607e+00,'{
  "schema": "autotune.plan/3",
  "id": "kept-2c93e3",
  "created_s": 1796087404.243514,
  "objective": "throughput",
  "scenario": "offline",
  "configuration": {
    "instances": 1,
    "threads_per_instance": 1,
    "placement": "close",
    "sockets": "0",
    "smt": false,
    "backend": "fake",
    "precision": "int8-dynamic",
    "model": "",
    "padding": "",
    "batching": "",
    "knobs": ""
  },
  "instances": [
    {
      "cpus": [
        0
      ],
      "memory_nodes": [
        0
      ],
      "argv": [
        "/opt/autotune/bin/python",
        "-P",
        "-m",
        "autotune.trial.worker",
        "--backend",
        "fake",
        "--precision",
        "int8-dynamic",
        "--artifact",
        "/var/cache/autotune/artifacts/e62fd2dda077bde3ebd58a72486e245713d9133933177bef8f9f994dc4ce952d",
        "--sequence-length",
        "16",
        "--threads",
        "1",
        "--seed",
        "0",
        "--warmup-s",
        "0.1",
        "--instances",
        "1",
        "--batch-size",
        "2",
        "--instance",
        "0"
      ],
      "env": {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/home/user",
        "LANG": "C.UTF-8",
        "PYTHONPATH": "/opt/autotune/source",
        "OPENBLAS_NUM_THREADS": "1"
      }
    }
  ],
  "estimate": {
    "objective_value": 121.33906690450043,
    "objective_range": {
      "low": 101.84346557625884,
      "high": 144.56665505191737
    },
    "throughput_sps": 121.33906690450043,
    "latencies": [
      {
        "percentile": 50.0,
        "value_s": 0.014957463999962783,
        "upper_s": 0.015001079000285245,
        "needed": 11
      },
      {
        "percentile": 90.0,
        "value_s": null,
        "upper_s": null,
        "needed": 64
      },
      {
        "percentile": 95.0,
        "value_s": null,
        "upper_s": null,
        "needed": 130
      },
      {
        "percentile": 99.0,
        "value_s": null,
        "upper_s": null,
        "needed": 662
      }
    ],
    "requests": 40,
    "runs": 3,
    "memory_bytes": 13626368,
    "histogram": "HISTFAAAAEd4nJNpmSzMwMCgyQABzFCaEURcm7yEwf4DRGCiLxMTF4cYCzMTIxPTZ0YmdqaFQEY0kzITUCCeqZORiZlJluk1NxMAg2AJ/Q==",
    "charge": null
  },
  "baseline": {
    "objective_value": 63.65120835807248,
    "objective_range": {
      "low": 54.155774016928696,
      "high": 74.81153023824005
    },
    "throughput_sps": 63.65120835807248,
    "latencies": [
      {
        "percentile": 50.0,
        "value_s": 0.027778920000855578,
        "upper_s": 0.03199066700108233,
        "needed": 11
      },
      {
        "percentile": 90.0,
        "value_s": null,
        "upper_s": null,
        "needed": 64
      },
      {
        "percentile": 95.0,
        "value_s": null,
        "upper_s": null,
        "needed": 130
      },
      {
        "percentile": 99.0,
        "value_s": null,
        "upper_s": null,
        "needed": 662
      }
    ],
    "requests": 22,
    "runs": 3,
    "memory_bytes": 13612032,
    "histogram": "HISTFAAAAD54nJNpmSzMwMAgxwABzFCaEURcm7yEwf4DRKA7mo2HhZGJSZiJn+kuM5MsEzNTIxPTZiYmcaalLEwAIGEI0g==",
    "charge": null
  },
  "gain": 1.9051283383826751,
  "gain_range": {
    "low": 1.4339575012864112,
    "high": 2.5311168444341456
  },
  "no_gain": "",
  "confirmation": {
    "verdict": "better",
    "probability": 0.9989710417915052,
    "more_rounds": null,
    "default": {
      "configuration": {
        "instances": 1,
        "threads_per_instance": 0,
        "placement": "unpinned",
        "sockets": "0",
        "smt": false,
        "backend": "fake",
        "precision": "fp32",
        "model": "",
        "padding": "",
        "batching": "",
        "knobs": ""
      },
      "trial": 0,
      "is_baseline": true,
      "ratio": 1.9051283383826751,
      "ratio_range": {
        "low": 1.4339575012864112,
        "high": 2.5311168444341456
      },
      "probability": 0.9989710417915052,
      "said": "shown",
      "missed": "",
      "more_rounds": null,
      "objective_value": 63.65120835807248,
      "unseen": []
    },
    "spent": {
      "looking_s": 0.05963322400020843,
      "preparing_s": 8.463054903892044,
      "loading_s": 10.039258741000594,
      "warming_s": 0.9514815770035057,
      "measuring_s": 1.7855865599867684,
      "waiting_s": 6.44166112773928
    },
    "unprepared": [],
    "rounds": 3,
    "search_value": 103.48850772319884,
    "optimism": -0.14711304146875326,
    "twin_ratio": null,
    "twin_range": null,
    "spread": 0.15175374955432192,
    "rivals": [],
    "blocks": 16,
    "dropped_blocks": 0,
    "quietness": "16 of 16 blocks were disturbed and counted all the same: other processes took 2.06 cpus (python 12400, python 12403, pip 16510) (16 times). What would help: stop other work, or give autotune cpus of its own with a cgroup cpuset.",
    "correction": ""
  },
  "requests": null,
  "files": [],
  "quality": {
    "inputs": "none",
    "sequences": 0,
    "fault": "",
    "cosine": null,
    "least_cosine": null,
    "max_difference": null,
    "top1": null,
    "labelled": null
  },
  "machine": {
    "fingerprint": "9a86bccd6d5ddf14",
    "schema": "autotune.machine/1",
    "architecture": "x86_64",
    "model_name": "AMD EPYC",
    "online": "0-1",
    "allowed": "0-1",
    "allowed_nodes": "0",
    "packages": [
      "0-1"
    ],
    "nodes": {
      "0": "0-1"
    },
    "cores": [
      "0",
      "1"
    ],
    "core_kinds": {},
    "l3": [
      "0-1"
    ],
    "doubtful_nodes": "",
    "distances": {
      "0": {
        "0": 10
      }
    },
    "node_memory_bytes": {
      "0": 22106288128
    },
    "memory_bytes": 25276502016,
    "memory_limit_bytes": null,
    "quota_cpus": null,
    "isa": [
      "3dnowprefetch",
      "abm",
      "adx",
      "aes",
      "apic",
      "arat",
      "avx",
      "avx2",
      "avx512_bf16",
      "avx512_bitalg",
      "avx512_vbmi2",
      "avx512_vnni",
      "avx512_vpopcntdq",
      "avx512bw",
      "avx512cd",
      "avx512dq",
      "avx512f",
      "avx512ifma",
      "avx512vbmi",
      "avx512vl",
      "bmi1",
      "bmi2",
      "clflush",
      "clflushopt",
      "clwb",
      "clzero",
      "cmov",
      "cmp_legacy",
      "constant_tsc",
      "cpuid",
      "cr8_legacy",
      "cx16",
      "cx8",
      "de",
      "erms",
      "extd_apicid",
      "f16c",
      "fma",
      "fpu",
      "fsgsbase",
      "fsrm",
      "fxsr",
      "fxsr_opt",
      "gfni",
      "ht",
      "hypervisor",
      "invpcid",
      "lahf_lm",
      "lm",
      "mca",
      "mce",
      "misalignsse",
      "mmx",
      "mmxext",
      "movbe",
      "msr",
      "mtrr",
      "nonstop_tsc",
      "nopl",
      "nx",
      "osvw",
      "pae",
      "pat",
      "pcid",
      "pclmulqdq",
      "pdpe1gb",
      "pge",
      "pni",
      "popcnt",
      "pse",
      "pse36",
      "rdpid",
      "rdrand",
      "rdseed",
      "rdtscp",
      "rep_good",
      "sep",
      "sha_ni",
      "smap",
      "smep",
      "sse",
      "sse2",
      "sse4_1",
      "sse4_2",
      "sse4a",
      "ssse3",
      "syscall",
      "topoext",
      "tsc",
      "tsc_adjust",
      "tsc_deadline_timer",
      "tsc_known_freq",
      "umip",
      "vaes",
      "vme",
      "vmmcall",
      "vpclmulqdq",
      "x2apic",
      "xgetbv1",
      "xsave",
      "xsavec",
      "xsaveerptr",
      "xsaveopt",
      "xsaves",
      "xtopology"
    ]
  },
  "versions": {
    "autotune": "0.1.0",
    "python": "3.11.7",
    "kernel": "6.18.44-fc-v669"
  },
  "model": {
    "source": "fake:model.json",
    "digest": "9a7a421b7e0c863f3e7af01e662ed1701cb48c2cc5194868a7c2b2d211b47fa7",
    "artifact": "/var/cache/autotune/artifacts/e62fd2dda077bde3ebd58a72486e245713d9133933177bef8f9f994dc4ce952d"
  },
  "study": {
    "name": "kept",
    "spec": {
      "name": "kept",
      "model": "fake:model.json",
      "digests": [],
      "unmasked": [],
      "inputs": {},
      "head": null,
      "problem": {
        "batch_size": 2,
        "lengths": null,
        "texts": null,
        "sequence_length": 16,
        "max_length": null,
        "include": [],
        "cache": null,
        "lengths_digest": "",
        "longest_in_file": 0,
        "texts_digest": "",
        "texts_file_digest": ""
      },
      "objective": {
        "kind": "throughput",
        "percentile": 50.0
      },
      "price": null,
      "scenario": "offline",
      "measure": {
        "warmup_s": 0.1,
        "block_s": 0.1,
        "blocks": 2,
        "max_blocks": 2,
        "disturbed": "keep",
        "trial_timeout_s": 180.0
      },
      "limits": {
        "latency": null,
        "memory_bytes": null
      },
      "quality": {
        "texts": null,
        "sequences": 32,
        "data": null,
        "metric": null,
        "max_drop": 0.01,
        "cosine": 0.85,
        "max_difference": 0.5,
        "top1": null,
        "texts_digest": "",
        "data_digest": ""
      },
      "search": {
        "backends": [
          "fake"
        ],
        "precisions": [
          "fp32",
          "int8-dynamic"
        ],
        "instances": [
          1
        ],
        "threads": [
          1
        ],
        "placements": [
          "close"
        ],
        "sockets": "auto",
        "smt": [
          false
        ],
        "knobs": "none",
        "padding": "auto",
        "batching": "auto"
      },
      "confirm": {
        "finalists": 1,
        "rounds": 3,
        "tie": 0.02
      },
      "budget": {
        "trials": 2,
        "minutes": 5.0
      },
      "seed": 0
    }
  },
  "trial": 1,
  "warnings": []
}
');
CREATE TABLE autotune_studies (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	created_s DOUBLE NOT NULL, 
	model_source TEXT NOT NULL, 
	model_digest VARCHAR(64) NOT NULL, 
	spec JSON NOT NULL, 
	machine JSON NOT NULL, 
	versions JSON NOT NULL, 
	CONSTRAINT pk_autotune_studies PRIMARY KEY (id), 
	CONSTRAINT uq_autotune_studies_name UNIQUE (name)
);
INSERT INTO "autotune_studies" VALUES(1,'kept',1.79608736485765886313e+09,'fake:model.json','9a7a421b7e0c863f3e7af01e662ed1701cb48c2cc5194868a7c2b2d211b47fa7','{"name": "kept", "model": "fake:model.json", "digests": [], "unmasked": [], "inputs": {}, "head": null, "problem": {"batch_size": 2, "lengths": null, "texts": null, "sequence_length": 16, "max_length": null, "include": [], "cache": null, "lengths_digest": "", "longest_in_file": 0, "texts_digest": "", "texts_file_digest": ""}, "objective": {"kind": "throughput", "percentile": 50.0}, "price": null, "scenario": "offline", "measure": {"warmup_s": 0.1, "block_s": 0.1, "blocks": 2, "max_blocks": 2, "disturbed": "keep", "trial_timeout_s": 180.0}, "limits": {"latency": null, "memory_bytes": null}, "quality": {"texts": null, "sequences": 32, "data": null, "metric": null, "max_drop": 0.01, "cosine": 0.85, "max_difference": 0.5, "top1": null, "texts_digest": "", "data_digest": ""}, "search": {"backends": ["fake"], "precisions": ["fp32", "int8-dynamic"], "instances": [1], "threads": [1], "placements": ["close"], "sockets": "auto", "smt": [false], "knobs": "none", "padding": "auto", "batching": "auto"}, "confirm": {"finalists": 1, "rounds": 3, "tie": 0.02}, "budget": {"trials": 2, "minutes": 5.0}, "seed": 0}','{"fingerprint": "9a86bccd6d5ddf14", "schema": "autotune.machine/1", "architecture": "x86_64", "model_name": "AMD EPYC", "online": "0-1", "allowed": "0-1", "allowed_nodes": "0", "packages": ["0-1"], "nodes": {"0": "0-1"}, "cores": ["0", "1"], "core_kinds": {}, "l3": ["0-1"], "doubtful_nodes": "", "distances": {"0": {"0": 10}}, "node_memory_bytes": {"0": 22106288128}, "memory_bytes": 25276502016, "memory_limit_bytes": null, "quota_cpus": null, "isa": ["3dnowprefetch", "abm", "adx", "aes", "apic", "arat", "avx", "avx2", "avx512_bf16", "avx512_bitalg", "avx512_vbmi2", "avx512_vnni", "avx512_vpopcntdq", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512ifma", "avx512vbmi", "avx512vl", "bmi1", "bmi2", "clflush", "clflushopt", "clwb", "clzero", "cmov", "cmp_legacy", "constant_tsc", "cpuid", "cr8_legacy", "cx16", "cx8", "de", "erms", "extd_apicid", "f16c", "fma", "fpu", "fsgsbase", "fsrm", "fxsr", "fxsr_opt", "gfni", "ht", "hypervisor", "invpcid", "lahf_lm", "lm", "mca", "mce", "misalignsse", "mmx", "mmxext", "movbe", "msr", "mtrr", "nonstop_tsc", "nopl", "nx", "osvw", "pae", "pat", "pcid", "pclmulqdq", "pdpe1gb", "pge", "pni", "popcnt", "pse", "pse36", "rdpid", "rdrand", "rdseed", "rdtscp", "rep_good", "sep", "sha_ni", "smap", "smep", "sse", "sse2", "sse4_1", "sse4_2", "sse4a", "ssse3", "syscall", "topoext", "tsc", "tsc_adjust", "tsc_deadline_timer", "tsc_known_freq", "umip", "vaes", "vme", "vmmcall", "vpclmulqdq", "x2apic", "xgetbv1", "xsave", "xsavec", "xsaveerptr", "xsaveopt", "xsaves", "xtopology"]}','{"autotune": "0.1.0", "python": "3.11.7", "kernel": "6.18.44-fc-v669"}');
CREATE TABLE autotune_trials (
	id INTEGER NOT NULL, 
	study_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	baseline BOOLEAN NOT NULL, 
	configuration JSON NOT NULL, 
	started_s DOUBLE NOT NULL, 
	ended_s DOUBLE NOT NULL, 
	failure VARCHAR(32), 
	score DOUBLE, 
	violations JSON NOT NULL, 
	result JSON NOT NULL, 
	CONSTRAINT pk_autotune_trials PRIMARY KEY (id), 
	CONSTRAINT uq_autotune_trials_study_id_number UNIQUE (study_id, number), 
	CONSTRAINT fk_autotune_trials_study_id_autotune_studies FOREIGN KEY(study_id) REFERENCES autotune_studies (id) ON DELETE CASCADE
);
INSERT INTO "autotune_trials" VALUES(1,1,0,1,'{"instances": 1, "threads_per_instance": 0, "placement": "unpinned", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32", "model": "", "padding": "", "batching": "", "knobs": ""}',1.79608737171517300603e+09,1.79608737904254817966e+09,NULL,62.1957447127376,'{}','{"schema": "autotune.measurement/3", "scenario": "offline", "blocks": [{"start_s": 15092.923354692, "instances": [{"samples_per_request": 2, "starts_s": [15092.923365618, 15092.968104723, 15093.002080313], "ends_s": [15092.968100016, 15093.002074244, 15093.029844141], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.16349089100003766, "speed": 1.0, "probe_s": 0.0011972620467893384, "steal": 0.0, "waited": 0.9285724531055277, "others_cpus": 1.9315163562460114, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 1.0, "memory_pressure": 0.0, "io_pressure": 0.0, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 12403", "pip 16510"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}, {"start_s": 15093.406048971001, "instances": [{"samples_per_request": 2, "starts_s": [15093.408082984, 15093.435901573, 15093.468085396, 15093.495856775], "ends_s": [15093.435897367, 15093.468078146, 15093.495849384, 15093.523613252], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.14070670799992513, "speed": 1.0049389862646283, "probe_s": 0.0011855512045586805, "steal": 0.0, "waited": 0.9344808384797744, "others_cpus": 1.93100589953834, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9994406236914478, "memory_pressure": 0.0, "io_pressure": 0.0, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12400", "python 12403", "pip 16510"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}], "observations": [{"pid": 20692, "cpus": [0, 1], "threads": [{"name": "python", "cpus": [0, 1]}], "memory_policy": "default", "memory_nodes": [], "engine": "fake", "engine_version": "1", "precision": "fp32", "engine_threads": 1, "memory_bytes": 13589504, "peak_memory_bytes": 24342528, "load_s": 1.3703409940007987, "warmup_s": 0.12351112500073214, "knobs": {"allocator": "glibc", "optimization": "all", "spinning": "on"}, "export": ""}], "memory_binding": "none", "wall_s": 2.9227395910002087, "measuring_s": 0.224053729998559, "warmup_s": 0.12351112500073214, "dropped": [], "stopped": "planned", "rates": [], "generator": null, "cores": 2}');
INSERT INTO "autotune_trials" VALUES(2,1,1,0,'{"instances": 1, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "int8-dynamic", "model": "", "padding": "", "batching": "", "knobs": ""}',1.79608738229380249977e+09,1.79608738877321028708e+09,NULL,1.03488507723198836169e+02,'{}','{"schema": "autotune.measurement/3", "scenario": "offline", "blocks": [{"start_s": 15102.850796980001, "instances": [{"samples_per_request": 2, "starts_s": [15102.856054093, 15102.871042093, 15102.888080133, 15102.903040431, 15102.920087334, 15102.93504632], "ends_s": [15102.871037125, 15102.888073703, 15102.903034352, 15102.920080724, 15102.93503971, 15102.952087335], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.14803361499980383, "speed": 1.0392818066397902, "probe_s": 0.0011407408433250737, "steal": 0.0, "waited": 0.9458160286546795, "others_cpus": 1.0072338704951156, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.9994148964049301, "memory_pressure": 0.0, "io_pressure": 0.0, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["rcu_preempt 15", "python 12403", "python 18727"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}, {"start_s": 15103.17299771, "instances": [{"samples_per_request": 2, "starts_s": [15103.208224633, 15103.223180805, 15103.238225479, 15103.256086589, 15103.271044304], "ends_s": [15103.223175317, 15103.238216756, 15103.256078788, 15103.271037213, 15103.285984763], "begun_s": [], "samples": [], "hits": 0}], "conditions": {"window_s": 0.13593632300035097, "speed": 1.0065595078212741, "probe_s": 0.0011701993410979173, "steal": 0.0, "waited": 0.8834470444134693, "others_cpus": 1.0233159977475463, "throttled_periods": 0, "throttled_s": 0.0, "cpu_pressure": 0.999276698103701, "memory_pressure": 0.0, "io_pressure": 0.0, "frequency_hz": null, "temperature_c": null, "thermal_throttles": null, "involuntary_switches": 0, "major_faults": 0, "migrations": 0, "culprits": ["python 12403", "python 18727", "python 19085"], "lost_cpus": 0}, "end_s": null, "waiting_s": []}], "observations": [{"pid": 20947, "cpus": [0], "threads": [{"name": "python", "cpus": [0]}], "memory_policy": "bind", "memory_nodes": [0], "engine": "fake", "engine_version": "1", "precision": "int8-dynamic", "engine_threads": 1, "memory_bytes": 13614080, "peak_memory_bytes": 24432640, "load_s": 1.2223234150005737, "warmup_s": 0.1217983650003589, "knobs": {"allocator": "glibc", "optimization": "all", "spinning": "on"}, "export": ""}], "memory_binding": "bind", "wall_s": 2.4209884659994714, "measuring_s": 0.21427740799845196, "warmup_s": 0.1217983650003589, "dropped": [], "stopped": "planned", "rates": [], "generator": null, "cores": 1}');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'kept');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'instances',1.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1}}');
INSERT INTO "trial_params" VALUES(2,1,'threads_per_instance',0.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(3,1,'placement',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["close", "unpinned"]}}');
INSERT INTO "trial_params" VALUES(4,1,'sockets',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["0"]}}');
INSERT INTO "trial_params" VALUES(5,1,'smt',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [false]}}');
INSERT INTO "trial_params" VALUES(6,1,'backend',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fake"]}}');
INSERT INTO "trial_params" VALUES(7,1,'precision',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fp32", "int8-dynamic"]}}');
INSERT INTO "trial_params" VALUES(8,1,'model',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [""]}}');
INSERT INTO "trial_params" VALUES(9,1,'padding',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [""]}}');
INSERT INTO "trial_params" VALUES(10,1,'batching',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [""]}}');
INSERT INTO "trial_params" VALUES(11,1,'knobs',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [""]}}');
INSERT INTO "trial_params" VALUES(12,2,'instances',1.0,'{"name": "IntDistribution", "attributes": {"log": true, "step": 1, "low": 1, "high": 1}}');
INSERT INTO "trial_params" VALUES(13,2,'threads_per_instance',1.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 1}}');
INSERT INTO "trial_params" VALUES(14,2,'placement',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["close", "unpinned"]}}');
INSERT INTO "trial_params" VALUES(15,2,'sockets',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["0"]}}');
INSERT INTO "trial_params" VALUES(16,2,'smt',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [false]}}');
INSERT INTO "trial_params" VALUES(17,2,'backend',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fake"]}}');
INSERT INTO "trial_params" VALUES(18,2,'precision',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["fp32", "int8-dynamic"]}}');
INSERT INTO "trial_params" VALUES(19,2,'model',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [""]}}');
INSERT INTO "trial_params" VALUES(20,2,'padding',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [""]}}');
INSERT INTO "trial_params" VALUES(21,2,'batching',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [""]}}');
INSERT INTO "trial_params" VALUES(22,2,'knobs',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [""]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'summary','"1 x default threads, unpinned, sockets 0, fake fp32: score 62.1957"');
INSERT INTO "trial_user_attributes" VALUES(2,2,'summary','"1 x 1 threads, close, sockets 0, fake int8-dynamic: score 103.489"');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,62.1957447127376,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,1.03488507723198836169e+02,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-12-01 01:09:29.061915','2026-12-01 01:09:39.552467');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-12-01 01:09:41.225770','2026-12-01 01:09:49.117892');
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE INDEX ix_autotune_plans_study_id ON autotune_plans (study_id);
CREATE INDEX ix_autotune_plans_created_s ON autotune_plans (created_s);
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
COMMIT;

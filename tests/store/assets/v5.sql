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
INSERT INTO "autotune_alembic_version" VALUES('0005');
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
	result JSON NOT NULL, host VARCHAR(255) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_autotune_confirmations PRIMARY KEY (id), 
	CONSTRAINT uq_autotune_confirmations_study_id_series_round_position UNIQUE (study_id, series, round, position), 
	CONSTRAINT fk_autotune_confirmations_study_id_autotune_studies FOREIGN KEY(study_id) REFERENCES autotune_studies (id) ON DELETE CASCADE
);
INSERT INTO "autotune_confirmations" VALUES(1,1,1,1,1,'trial 0',0,'{"instances": 2, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32"}',1790000020.0,1790000029.0,NULL,158.0,'{"latency_p99_s": -0.4}','{"schema": "autotune.measurement/2", "scenario": "offline", "blocks": [{"start_s": 100.0, "instances": [{"samples_per_request": 8, "starts_s": [100.0, 100.1, 100.2], "ends_s": [100.1, 100.19999999999999, 100.3], "begun_s": []}, {"samples_per_request": 8, "starts_s": [100.0, 100.1, 100.2], "ends_s": [100.1, 100.19999999999999, 100.3], "begun_s": []}], "conditions": null, "end_s": null, "waiting_s": []}], "observations": [{"pid": 1000, "cpus": [0], "threads": [{"name": "main", "cpus": [0]}], "memory_policy": "bind", "memory_nodes": [0], "engine": "fake", "engine_version": "1", "precision": "fp32", "engine_threads": 1, "memory_bytes": 104857600, "peak_memory_bytes": 157286400, "load_s": 0.1, "warmup_s": 0.5}, {"pid": 1001, "cpus": [1], "threads": [{"name": "main", "cpus": [1]}], "memory_policy": "bind", "memory_nodes": [0], "engine": "fake", "engine_version": "1", "precision": "fp32", "engine_threads": 1, "memory_bytes": 104857600, "peak_memory_bytes": 157286400, "load_s": 0.1, "warmup_s": 0.5}], "memory_binding": "bind", "wall_s": 2.3, "measuring_s": 0.30000000000000004, "warmup_s": 1.0, "dropped": [], "stopped": "planned", "rates": [], "generator": null}','a-host');
INSERT INTO "autotune_confirmations" VALUES(2,1,1,1,2,'baseline',1,'{"instances": 2, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32"}',1790000020.0,1790000029.0,'crash',NULL,'{}','{"schema": "autotune.failure/1", "kind": "crash", "reason": "ended with exit status 70", "stderr_tail": "Traceback"}','a-host');
CREATE TABLE autotune_events (
	id INTEGER NOT NULL, 
	job_id VARCHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	told_s DOUBLE NOT NULL, 
	event TEXT NOT NULL, 
	CONSTRAINT pk_autotune_events PRIMARY KEY (id), 
	CONSTRAINT fk_autotune_events_job_id_autotune_jobs FOREIGN KEY(job_id) REFERENCES autotune_jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_autotune_events_job_id_number UNIQUE (job_id, number)
);
INSERT INTO "autotune_events" VALUES(1,'2871c4f5a9023486',1,1.79612893315998768803e+09,'{"schema":"autotune.event/1","event":"waiting_began","text":"another trial"}');
INSERT INTO "autotune_events" VALUES(2,'2871c4f5a9023486',2,1.79612893316300511366e+09,'{"schema":"autotune.event/1","event":"waiting_ended","seconds":2.5}');
CREATE TABLE autotune_jobs (
	id VARCHAR(32) NOT NULL, 
	client_key VARCHAR(128), 
	digest VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	study VARCHAR(64) NOT NULL, 
	machine VARCHAR(255) NOT NULL, 
	request JSON NOT NULL, 
	priority INTEGER NOT NULL, 
	asked_by VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	asked_s DOUBLE NOT NULL, 
	started_s DOUBLE, 
	ended_s DOUBLE, 
	attempts INTEGER NOT NULL, 
	stop_asked BOOLEAN DEFAULT 0 NOT NULL, 
	holder_host VARCHAR(255), 
	holder_boot VARCHAR(64), 
	holder_pid BIGINT, 
	holder_ticks BIGINT, 
	held_until_s DOUBLE, 
	"plan" VARCHAR(80) DEFAULT '' NOT NULL, 
	result JSON, 
	fault JSON, 
	CONSTRAINT pk_autotune_jobs PRIMARY KEY (id), 
	CONSTRAINT uq_autotune_jobs_client_key UNIQUE (client_key)
);
INSERT INTO "autotune_jobs" VALUES('2871c4f5a9023486','key-1','b1a0998c108306827bd84d35204f8fe740e0ed186b71f2edb02369f106974601','tune','quickstart','a-host','{"format": 1, "study": {"name": "quickstart"}, "offline": true}',0,'ci','done',1.79612893315399289135e+09,1.79612893315801620481e+09,1.79612893316401100161e+09,1,0,NULL,NULL,NULL,NULL,NULL,'quickstart-7f3a9c','{"format": 1}',NULL);
INSERT INTO "autotune_jobs" VALUES('8a17e7a0e0dcaddf',NULL,'e9ad48c543e9c54733feeb79ddb77cdee9d779f04ab411574ae336b2deed4ba9','verify','quickstart','a-host','{"format": 1, "plan": "quickstart-7f3a9c"}',3,'','queued',1.79612893316598224639e+09,NULL,NULL,0,0,NULL,NULL,NULL,NULL,NULL,'',NULL,NULL);
CREATE TABLE autotune_plans (
	id VARCHAR(80) NOT NULL, 
	study_id INTEGER NOT NULL, 
	trial INTEGER NOT NULL, 
	created_s DOUBLE NOT NULL, 
	objective VARCHAR(32) NOT NULL, 
	configuration JSON NOT NULL, 
	score DOUBLE NOT NULL, 
	gain DOUBLE, 
	document TEXT NOT NULL, origin TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_autotune_plans PRIMARY KEY (id), 
	CONSTRAINT fk_autotune_plans_study_id_autotune_studies FOREIGN KEY(study_id) REFERENCES autotune_studies (id) ON DELETE CASCADE
);
INSERT INTO "autotune_plans" VALUES('quickstart-7f3a9c',1,7,1790000000.0,'throughput','{"instances": 2, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32"}',30.0,3.0,'{
  "schema": "autotune.plan/2",
  "id": "quickstart-7f3a9c",
  "created_s": 1790000000.0,
  "objective": "throughput",
  "scenario": "offline",
  "configuration": {
    "instances": 2,
    "threads_per_instance": 1,
    "placement": "close",
    "sockets": "0",
    "smt": false,
    "backend": "fake",
    "precision": "fp32"
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
        "fp32",
        "--artifact",
        "/cache/artifacts/5e5e5e",
        "--sequence-length",
        "128",
        "--threads",
        "1",
        "--seed",
        "0",
        "--warmup-s",
        "5",
        "--instances",
        "2",
        "--batch-size",
        "8",
        "--instance",
        "0"
      ],
      "env": {
        "PATH": "/usr/bin:/bin",
        "OMP_NUM_THREADS": "1"
      }
    },
    {
      "cpus": [
        1
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
        "fp32",
        "--artifact",
        "/cache/artifacts/5e5e5e",
        "--sequence-length",
        "128",
        "--threads",
        "1",
        "--seed",
        "0",
        "--warmup-s",
        "5",
        "--instances",
        "2",
        "--batch-size",
        "8",
        "--instance",
        "1"
      ],
      "env": {
        "PATH": "/usr/bin:/bin",
        "OMP_NUM_THREADS": "1"
      }
    }
  ],
  "estimate": {
    "objective_value": 30.0,
    "objective_range": {
      "low": 29.4,
      "high": 30.6
    },
    "throughput_sps": 30.0,
    "latencies": [
      {
        "percentile": 50.0,
        "value_s": 0.26666666666666666,
        "upper_s": 0.29333333333333333,
        "needed": 11
      },
      {
        "percentile": 90.0,
        "value_s": 0.3,
        "upper_s": 0.33,
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
    "requests": 100,
    "runs": 3,
    "memory_bytes": 314572800,
    "histogram": null
  },
  "baseline": {
    "objective_value": 10.0,
    "objective_range": {
      "low": 9.8,
      "high": 10.2
    },
    "throughput_sps": 10.0,
    "latencies": [
      {
        "percentile": 50.0,
        "value_s": 0.8,
        "upper_s": 0.8800000000000001,
        "needed": 11
      },
      {
        "percentile": 90.0,
        "value_s": 0.9,
        "upper_s": 0.9900000000000001,
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
    "requests": 100,
    "runs": 3,
    "memory_bytes": 314572800,
    "histogram": null
  },
  "gain": 3.0,
  "gain_range": {
    "low": 2.8,
    "high": 3.2
  },
  "confirmation": {
    "verdict": "better",
    "rounds": 3,
    "search_value": 30.9,
    "optimism": 0.03,
    "twin_ratio": 1.004,
    "twin_range": {
      "low": 0.98,
      "high": 1.03
    },
    "spread": 0.012,
    "rivals": [
      {
        "configuration": {
          "instances": 2,
          "threads_per_instance": 1,
          "placement": "spread",
          "sockets": "0",
          "smt": false,
          "backend": "fake",
          "precision": "fp32"
        },
        "trial": 3,
        "standing": "tied",
        "ratio": 0.99,
        "ratio_range": {
          "low": 0.97,
          "high": 1.01
        },
        "cores": 2,
        "memory_bytes": 335544320,
        "reason": ""
      },
      {
        "configuration": {
          "instances": 2,
          "threads_per_instance": 7,
          "placement": "close",
          "sockets": "0",
          "smt": false,
          "backend": "fake",
          "precision": "fp32"
        },
        "trial": 5,
        "standing": "worse",
        "ratio": 0.8,
        "ratio_range": {
          "low": 0.77,
          "high": 0.83
        },
        "cores": 2,
        "memory_bytes": 335544320,
        "reason": ""
      }
    ],
    "blocks": 45,
    "dropped_blocks": 2,
    "quietness": "The machine was quiet: 2 of 47 blocks were disturbed and measured again."
  },
  "machine": {
    "model_name": "Built CPU",
    "allowed": "0-1",
    "fingerprint": "389f7fbc8e058d61"
  },
  "versions": {
    "autotune": "0.1.0",
    "python": "3.11.9"
  },
  "model": {
    "source": "fake:model.json",
    "digest": "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e",
    "artifact": null
  },
  "study": {
    "name": "quickstart",
    "spec": {
      "problem": {
        "batch_size": 8,
        "sequence_length": 128
      }
    }
  },
  "trial": 7,
  "warnings": []
}
','');
CREATE TABLE autotune_schedules (
	name VARCHAR(64) NOT NULL, 
	study VARCHAR(64) NOT NULL, 
	machine VARCHAR(255) NOT NULL, 
	every_s DOUBLE, 
	on_change BOOLEAN NOT NULL, 
	tolerance DOUBLE NOT NULL, 
	minutes DOUBLE, 
	webhook TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	asked_by VARCHAR(64) NOT NULL, 
	due_s DOUBLE, 
	seen VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_autotune_schedules PRIMARY KEY (name)
);
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
INSERT INTO "autotune_studies" VALUES(1,'quickstart',1790000000.25,'fake:model.json','5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e','{"name": "quickstart", "problem": {"batch_size": 8, "sequence_length": 128}}','{"allowed": "0-1", "fingerprint": "abc"}','{"autotune": "0.1.0"}');
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
	result JSON NOT NULL, host VARCHAR(255) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_autotune_trials PRIMARY KEY (id), 
	CONSTRAINT uq_autotune_trials_study_id_number UNIQUE (study_id, number), 
	CONSTRAINT fk_autotune_trials_study_id_autotune_studies FOREIGN KEY(study_id) REFERENCES autotune_studies (id) ON DELETE CASCADE
);
INSERT INTO "autotune_trials" VALUES(1,1,0,0,'{"instances": 2, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32"}',1790000001.5,1790000009.125,NULL,160.0,'{"latency_p99_s": -0.5}','{"schema": "autotune.measurement/1", "scenario": "offline", "blocks": [{"start_s": 100.0, "instances": [{"samples_per_request": 8, "starts_s": [100.0, 100.1, 100.2], "ends_s": [100.1, 100.19999999999999, 100.3]}, {"samples_per_request": 8, "starts_s": [100.0, 100.1, 100.2], "ends_s": [100.1, 100.19999999999999, 100.3]}]}], "observations": [{"pid": 1000, "cpus": [0], "threads": [{"name": "main", "cpus": [0]}], "memory_policy": "bind", "memory_nodes": [0], "engine": "fake", "engine_version": "1", "precision": "fp32", "engine_threads": 1, "memory_bytes": 104857600, "peak_memory_bytes": 157286400, "load_s": 0.1, "warmup_s": 0.5}, {"pid": 1001, "cpus": [1], "threads": [{"name": "main", "cpus": [1]}], "memory_policy": "bind", "memory_nodes": [0], "engine": "fake", "engine_version": "1", "precision": "fp32", "engine_threads": 1, "memory_bytes": 104857600, "peak_memory_bytes": 157286400, "load_s": 0.1, "warmup_s": 0.5}], "memory_binding": "bind", "wall_s": 2.3, "measuring_s": 0.30000000000000004, "warmup_s": 1.0}','a-host');
INSERT INTO "autotune_trials" VALUES(2,1,1,1,'{"instances": 2, "threads_per_instance": 1, "placement": "close", "sockets": "0", "smt": false, "backend": "fake", "precision": "fp32"}',1790000010.0,1790000011.0,'crash',NULL,'{}','{"schema": "autotune.failure/1", "kind": "crash", "reason": "ended with exit status 70", "stderr_tail": "Traceback"}','a-host');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'quickstart');
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
INSERT INTO "trial_params" VALUES(1,1,'instances',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 2}}');
INSERT INTO "trial_params" VALUES(2,2,'instances',2.0,'{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 2}}');
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
INSERT INTO "trial_values" VALUES(1,1,0,160.0,'FINITE');
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
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-11-22 03:54:57.771666','2026-11-22 03:54:57.832175');
INSERT INTO "trials" VALUES(2,1,1,'FAIL','2026-11-22 03:54:57.844514','2026-11-22 03:54:57.860969');
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
CREATE INDEX ix_autotune_jobs_study ON autotune_jobs (study);
CREATE INDEX ix_autotune_jobs_asked_s ON autotune_jobs (asked_s);
CREATE INDEX ix_autotune_jobs_plan ON autotune_jobs ("plan");
CREATE INDEX ix_autotune_jobs_state_asked_s ON autotune_jobs (state, asked_s);
CREATE INDEX ix_autotune_schedules_machine ON autotune_schedules (machine);
CREATE UNIQUE INDEX uq_autotune_jobs_running ON autotune_jobs (machine) WHERE state = 'running';
COMMIT;

-- The stores of all apps. A node makes what is not there; the number in a function's name changes with what it does, so
-- that nodes of two versions can use one database.
CREATE SCHEMA IF NOT EXISTS starcell;

CREATE TABLE IF NOT EXISTS starcell.kv (
    tenant text NOT NULL,
    app text NOT NULL,
    key bytea NOT NULL,
    shard smallint NOT NULL,
    value bytea NOT NULL,
    ends timestamptz,
    PRIMARY KEY (tenant, app, key)
);

CREATE INDEX IF NOT EXISTS kv_ends ON starcell.kv (tenant, app, shard, ends) WHERE ends IS NOT NULL;

-- What the pairs of an app take, in as many rows as changes of one app are made at a time.
CREATE TABLE IF NOT EXISTS starcell.kv_used (
    tenant text NOT NULL,
    app text NOT NULL,
    shard smallint NOT NULL,
    used bigint NOT NULL,
    PRIMARY KEY (tenant, app, shard)
) WITH (fillfactor = 50);

-- One change of one key. The row of the key's shard is locked first, so that what is found is what is changed; quotas look
-- at the other rows without their locks, and can be passed by what is under way in them.
CREATE OR REPLACE FUNCTION starcell.kv_change_1(
    the_tenant text, the_app text, the_key bytea, the_shard smallint, operation text, the_value bytea,
    -- Microseconds; -1 for ever, -2 as long as the value before would have stayed.
    lifetime bigint, by_what bigint, expected bytea, quota bigint, share bigint,
    OUT word text, OUT present bytea, OUT total bigint
) LANGUAGE plpgsql AS $$
DECLARE
    now_is timestamptz;
    old_ends timestamptz;
    new_ends timestamptz;
    freed bigint;
    before_it bigint := 0;
    after_it bigint;
    others bigint;
    added numeric;
BEGIN
    PERFORM 1 FROM starcell.kv_used u WHERE u.tenant = the_tenant AND u.app = the_app AND u.shard = the_shard FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO starcell.kv_used VALUES (the_tenant, the_app, the_shard, 0) ON CONFLICT DO NOTHING;
        PERFORM 1 FROM starcell.kv_used u
            WHERE u.tenant = the_tenant AND u.app = the_app AND u.shard = the_shard FOR UPDATE;
    END IF;
    -- After the lock: the time that the wait for it took has passed.
    now_is := clock_timestamp();
    -- Pairs of this shard alone, whose lock is held. More than one change can add, so that they do not pile up.
    WITH gone AS (
        DELETE FROM starcell.kv k WHERE k.tenant = the_tenant AND k.app = the_app AND k.key IN (
            SELECT e.key FROM starcell.kv e
            WHERE e.tenant = the_tenant AND e.app = the_app AND e.shard = the_shard AND e.ends <= now_is
            ORDER BY e.ends LIMIT 8
        ) RETURNING octet_length(k.key) + octet_length(k.value) + 64 AS cost
    ) SELECT coalesce(sum(gone.cost), 0) INTO freed FROM gone;

    SELECT k.value, k.ends INTO present, old_ends FROM starcell.kv k
        WHERE k.tenant = the_tenant AND k.app = the_app AND k.key = the_key;
    IF FOUND THEN
        before_it := octet_length(the_key) + octet_length(present) + 64;
        IF old_ends <= now_is THEN
            DELETE FROM starcell.kv k WHERE k.tenant = the_tenant AND k.app = the_app AND k.key = the_key;
            freed := freed + before_it;
            before_it := 0;
            present := NULL;
            old_ends := NULL;
        END IF;
    END IF;
    IF freed > 0 THEN
        UPDATE starcell.kv_used u SET used = u.used - freed
            WHERE u.tenant = the_tenant AND u.app = the_app AND u.shard = the_shard;
    END IF;

    IF operation = 'delete' THEN
        IF present IS NULL THEN
            word := 'no';
        ELSE
            DELETE FROM starcell.kv k WHERE k.tenant = the_tenant AND k.app = the_app AND k.key = the_key;
            UPDATE starcell.kv_used u SET used = u.used - before_it
                WHERE u.tenant = the_tenant AND u.app = the_app AND u.shard = the_shard;
            word := 'yes';
        END IF;
        present := NULL;
        RETURN;
    ELSIF operation = 'set' THEN
        word := 'done';
    ELSIF operation = 'swap' THEN
        word := 'yes';
        IF expected IS NULL THEN
            -- Nothing, or null.
            IF present <> 'jnull'::bytea THEN
                word := 'no';
            END IF;
        ELSIF present IS NULL THEN
            word := 'no';
        ELSIF present <> expected THEN
            -- Only of JSON has one value several texts, and whoever asks compares them.
            IF get_byte(present, 0) = 106 AND get_byte(expected, 0) = 106 THEN
                word := 'compare';
                RETURN;
            END IF;
            word := 'no';
        END IF;
        IF word = 'no' THEN
            present := NULL;
            RETURN;
        END IF;
    ELSIF operation = 'add' THEN
        added := by_what;
        IF present IS NOT NULL THEN
            IF get_byte(present, 0) <> 106 OR octet_length(present) > 21
                OR convert_from(substr(present, 2), 'UTF8') !~ '^-?[0-9]+$' THEN
                word := 'no int';
                present := NULL;
                RETURN;
            END IF;
            added := convert_from(substr(present, 2), 'UTF8')::numeric;
            IF added < -9223372036854775808 OR added > 9223372036854775807 THEN
                word := 'no int';
                present := NULL;
                RETURN;
            END IF;
            added := added + by_what;
            lifetime := -2;
        END IF;
        IF added < -9223372036854775808 OR added > 9223372036854775807 THEN
            word := 'overflow';
            present := NULL;
            RETURN;
        END IF;
        word := 'sum';
        total := added::bigint;
        the_value := convert_to('j' || total::text, 'UTF8');
    ELSE
        RAISE EXCEPTION 'unknown operation %', operation;
    END IF;
    present := NULL;

    after_it := octet_length(the_key) + octet_length(the_value) + 64;
    SELECT coalesce(sum(u.used), 0) INTO others FROM starcell.kv_used u WHERE u.tenant = the_tenant AND u.app = the_app;
    IF others - before_it + after_it > quota THEN
        word := 'full';
        total := NULL;
        RETURN;
    END IF;
    IF share IS NOT NULL AND after_it > before_it THEN
        SELECT coalesce(sum(u.used), 0) INTO others FROM starcell.kv_used u WHERE u.tenant = the_tenant;
        IF others - before_it + after_it > share THEN
            word := 'shared';
            total := NULL;
            RETURN;
        END IF;
    END IF;
    new_ends := CASE lifetime WHEN -1 THEN NULL WHEN -2 THEN old_ends
        ELSE now_is + lifetime * interval '1 microsecond' END;
    INSERT INTO starcell.kv AS k VALUES (the_tenant, the_app, the_key, the_shard, the_value, new_ends)
        ON CONFLICT (tenant, app, key) DO UPDATE SET value = excluded.value, ends = excluded.ends;
    UPDATE starcell.kv_used u SET used = u.used - before_it + after_it
        WHERE u.tenant = the_tenant AND u.app = the_app AND u.shard = the_shard;
END
$$;

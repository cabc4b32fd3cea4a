package chista;

import io.apicurio.registry.utils.converter.AvroConverter;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.ConnectSchema;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;

/**
 * Apicurio's Avro converter without the defaults of columns, so that NULL stays NULL: it writes a default in place of NULL, and has
 * no setting against it. Schemas in the registry have no defaults either, by which a drain sees that every value is certain.
 */
public class KeepNulls extends AvroConverter<Object> {
    private static final int MOST_SCHEMAS = 10_000;

    private final Map<Schema, Schema> known = new IdentityHashMap<>();

    @Override
    protected Object applySchema(Schema schema, Object value) {
        if (schema == null) {
            return super.applySchema(null, value);
        }
        Schema plain = plain(schema);
        return super.applySchema(plain, copy(plain, value));
    }

    /** The schema without defaults; the same object for the same schema, since the converter keeps what it made of it. */
    private Schema plain(Schema schema) {
        Schema found = known.get(schema);
        if (found == null) {
            if (known.size() >= MOST_SCHEMAS) {
                known.clear();
            }
            found = made(schema);
            known.put(schema, found);
        }
        return found;
    }

    private Schema made(Schema schema) {
        List<Field> fields = null;
        Schema key = null;
        Schema value = null;
        switch (schema.type()) {
            case STRUCT:
                fields = new ArrayList<>();
                for (Field field : schema.fields()) {
                    fields.add(new Field(field.name(), field.index(), plain(field.schema())));
                }
                break;
            case ARRAY:
                value = plain(schema.valueSchema());
                break;
            case MAP:
                key = plain(schema.keySchema());
                value = plain(schema.valueSchema());
                break;
            default:
                break;
        }
        return new ConnectSchema(
            schema.type(), schema.isOptional(), null, schema.name(), schema.version(), schema.doc(), schema.parameters(),
            fields, key, value);
    }

    private static Object copy(Schema plain, Object value) {
        if (value == null) {
            return null;
        }
        switch (plain.type()) {
            case STRUCT:
                Struct copy = new Struct(plain);
                Struct struct = (Struct) value;
                for (Field field : plain.fields()) {
                    // A column that cannot be NULL has its default where the connector knows no value, as in rows before a delete.
                    Object held = field.schema().isOptional()
                        ? struct.getWithoutDefault(field.name())
                        : struct.get(field.name());
                    copy.put(field, copy(field.schema(), held));
                }
                return copy;
            case ARRAY:
                List<Object> items = new ArrayList<>();
                for (Object item : (List<?>) value) {
                    items.add(copy(plain.valueSchema(), item));
                }
                return items;
            case MAP:
                Map<Object, Object> entries = new HashMap<>();
                ((Map<?, ?>) value).forEach((key, held) -> entries.put(key, copy(plain.valueSchema(), held)));
                return entries;
            default:
                return value;
        }
    }
}

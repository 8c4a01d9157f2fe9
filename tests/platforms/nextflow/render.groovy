// Renders processes of Nextflow modules as Nextflow would: reads one request (JSON) per line, writes
// one answer per line. Request: module, block (script or stub), task, inputs (one list of values per
// input channel; staged files are {"path": name}, several of them a list). Answer: script, outputs,
// directives, or error.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import groovy.transform.Field

class StagedFile {
    String path
    String getName() { path.tokenize('/').last() }
    String getBaseName() { name.contains('.') ? name[0..<name.lastIndexOf('.')] : name }
    String getExtension() { name.contains('.') ? name.substring(name.lastIndexOf('.') + 1) : '' }
    // Nextflow escapes what a shell would split.
    String toString() { path.replaceAll(/([\s'"$(){}&;|<>\\])/, '\\\\$1') }
}

class StagedFiles extends ArrayList {
    String toString() { join(' ') }
}

// A missing key of task.ext is null; everything else has to be there.
class Task {
    Map values
    Object getProperty(String name) {
        if (name == 'ext') { return values.ext }
        if (name in ['accelerator']) { return values[name] }
        if (!values.containsKey(name)) { throw new MissingPropertyException("task.${name}") }
        return values[name]
    }
}

// What stands in `input:` and `output:` blocks: calls that describe values.
abstract class Blocks extends Script {
    List found = []
    def call(String kind, Object value, Map named) { [kind: kind, value: value] + named }
    def val(Map named = [:], Object value) { top(call('val', value, named)) }
    def path(Map named = [:], Object value) { top(call('path', value, named)) }
    def eval(Map named = [:], Object value) { top(call('eval', value.toString(), named)) }
    def tuple(Object... values) {
        // Named arguments arrive as a first map, which parts are told from by their kind.
        def named = values[0].containsKey('kind') ? [:] : values[0]
        def parts = named.is(values[0]) ? values.tail() : values
        found.removeAll { part -> parts.any { other -> part.is(other) } }
        top([kind: 'tuple', parts: parts as List] + named)
    }
    def top(Map entry) { found << entry; entry }
}

abstract class Body extends Script {
    def error(Object text) { throw new IllegalStateException(text.toString()) }
}

// Names of inputs stand for themselves while inputs are described.
class Names extends Binding {
    Object getVariable(String name) { name }
    boolean hasVariable(String name) { true }
}

@Field static final List LABELS = ['input', 'output', 'when', 'script', 'stub']

Map blocksOf(String text) {
    def found = [head: []]
    def label = 'head'
    def inside = false
    text.eachLine { line ->
        if (line ==~ /process \w+ \{/) { inside = true; return }
        if (line == '}') { inside = false; return }
        if (!inside) { return }
        def match = line =~ /^    (\w+):$/
        if (match && match[0][1] in LABELS) { label = match[0][1]; found[label] = []; return }
        found[label] << line
    }
    found.collectEntries { key, lines -> [key, lines.join('\n') + '\n'] }
}

def run(Class base, String code, Binding binding) {
    def config = new org.codehaus.groovy.control.CompilerConfiguration(scriptBaseClass: base.name)
    def script = new GroovyShell(this.class.classLoader, binding, config).parse(code)
    [script, script.run()]
}

Object staged(Object value) {
    if (value instanceof Map && value.keySet() == ['path'] as Set) { return new StagedFile(path: value.path) }
    if (value instanceof List && value && value.every { it instanceof Map && it.keySet() == ['path'] as Set }) {
        def files = new StagedFiles()
        files.addAll(value.collect { staged(it) })
        return files
    }
    value
}

// Groovy writes lists in brackets; Nextflow writes staged files one behind the other, at any depth.
String written(Object value) {
    if (!(value instanceof GString)) { return value.toString() }
    def parts = [value.strings.toList(), value.values.toList().collect { written(it) } + ['']]
    parts.transpose().flatten().join('')
}

Map render(Map request) {
    def blocks = blocksOf(new File(request.module).text)
    def binding = new Binding()
    def inputs = run(Blocks, blocks.input ?: '', new Names())[0].getFound()
    [inputs, request.inputs].transpose().each { declared, values ->
        def parts = declared.kind == 'tuple' ? declared.parts : [declared]
        assert parts.size() == values.size(): "input ${parts*.value} got ${values.size()} values"
        [parts, values].transpose().each { part, value -> binding.setVariable(part.value, staged(value)) }
    }
    def task = new Task(values: request.task)
    binding.setVariable('task', task)
    binding.setVariable('workflow', request.workflow)
    binding.setVariable('moduleDir', new File(request.module).parent)
    def directives = [:].withDefault { [] }
    def body = written(run(Body, blocks[request.block], binding)[1]).stripIndent()
    // Names of channels and topics are words, also where an input has the same name.
    def named = blocks.output.replaceAll(/(emit|topic): (\w+)/, '$1: "$2"')
    def outputs = run(Blocks, named, binding)[0].getFound()
    blocks.head.replaceAll(/\n        +/, ' ').eachLine { line ->
        def match = line =~ /^    (\w+) (.+)$/
        if (match) { directives[match[0][1]] << run(Body, match[0][2], binding)[1].toString() }
    }
    [script: body, outputs: plain(outputs), directives: directives, inputs: plain(inputs)]
}

Object plain(Object value) {
    if (value instanceof Map) { return value.collectEntries { k, v -> [k, plain(v)] } }
    if (value instanceof List) { return value.collect { plain(it) } }
    value instanceof Boolean ? value : value.toString()
}

System.in.eachLine { line ->
    def answer
    try { answer = render(new JsonSlurper().parseText(line)) }
    catch (IllegalStateException e) { answer = [error: e.message] }
    catch (Throwable e) { answer = [failure: e.toString()] }
    println JsonOutput.toJson(answer)
    System.out.flush()
}
